package ext4

import (
	"image-builder/internal/tree"
)

const (
	entryHeaderBytes = 8
	tailBytes        = 12
	tailType         = 0xde
	usableBytes      = blockBytes - tailBytes
	// Size of lost+found, so that e2fsck can add entries without allocating blocks.
	lostAndFound       = "lost+found"
	lostAndFoundBlocks = 4
)

// directoryWriter packs directory entries into blocks.
type directoryWriter struct {
	blocks [][]byte
	// Offsets of the last block's last entry, and of the entry after it.
	last, next int
}

func entryLength(name string) int { return (entryHeaderBytes + len(name) + 3) &^ 3 }

func (w *directoryWriter) startBlock() {
	w.blocks = append(w.blocks, make([]byte, blockBytes))
	w.last, w.next = 0, 0
}

func (w *directoryWriter) add(inode uint32, name string, kind tree.Kind) {
	length := entryLength(name)
	if len(w.blocks) == 0 || w.next+length > usableBytes {
		w.close()
		w.startBlock()
	}
	block := w.blocks[len(w.blocks)-1]
	put32(block, w.next, inode)
	put16(block, w.next+4, uint32(length))
	block[w.next+6] = byte(len(name))
	block[w.next+7] = typeBits[kind].entry
	copy(block[w.next+entryHeaderBytes:], name)
	w.last, w.next = w.next, w.next+length
}

// close extends the last entry of a block to the block's end, as ext4 requires.
func (w *directoryWriter) close() {
	if len(w.blocks) > 0 {
		put16(w.blocks[len(w.blocks)-1], w.last+4, uint32(usableBytes-w.last))
	}
}

func (w *directoryWriter) addEmptyBlocks(total int) {
	for len(w.blocks) < total {
		w.startBlock()
		w.close()
	}
}

func (w *directoryWriter) finish(seed uint32) [][]byte {
	for _, block := range w.blocks {
		put16(block, usableBytes+4, tailBytes)
		block[usableBytes+7] = tailType
		put32(block, usableBytes+8, checksum(seed, block[:usableBytes]))
	}
	return w.blocks
}

// writeDirectory writes a directory. Its entries must have inode numbers.
func (v *volume) writeDirectory(node *tree.Node, parent uint32, blocksMin int) error {
	i := v.newInode(node)
	writer := &directoryWriter{}
	writer.add(node.Inode, ".", tree.Directory)
	writer.add(parent, "..", tree.Directory)
	links := uint32(2)
	for _, child := range node.Children() {
		writer.add(child.Node.Inode, child.Name, child.Node.Kind)
		if child.Node.Kind == tree.Directory {
			links++
		}
	}
	writer.close()
	writer.addEmptyBlocks(blocksMin)
	if links > directoryLinksMax {
		links = 1
	}
	put16(i.data, 0x1a, links)
	blocks := writer.finish(i.seed)
	i.setSize(int64(len(blocks)) * blockBytes)
	if err := v.writeContent(i, blocks); err != nil {
		return err
	}
	return v.finishInode(i, node)
}

// writeContent allocates blocks for an inode and writes the content into them.
func (v *volume) writeContent(i *inode, blocks [][]byte) error {
	var mappings []mapping
	for done := uint32(0); int(done) < len(blocks); {
		taken, err := v.allocate(uint32(len(blocks)) - done)
		if err != nil {
			return err
		}
		mappings = append(mappings, mapping{done, taken})
		for block := taken.first; block < taken.first+taken.count; block++ {
			if err := v.writeBlock(block, blocks[done]); err != nil {
				return err
			}
			done++
		}
	}
	return v.setExtents(i, mappings)
}

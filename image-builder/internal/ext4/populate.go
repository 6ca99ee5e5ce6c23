package ext4

import (
	"io"
	"os"

	"image-builder/internal/tree"
)

const (
	rootInode         = 2
	lostAndFoundInode = 11
	copyBlocksMax     = 256
)

// Populate writes the tree into the empty file system in `image`. The contents of files are read from `spool`. The nodes
// get their inode numbers.
func Populate(image *os.File, root *tree.Node, spool io.ReaderAt) error {
	v, err := openVolume(image)
	if err != nil {
		return err
	}
	for _, number := range []uint32{rootInode, lostAndFoundInode} {
		if err := v.freeBlocksOf(number); err != nil {
			return err
		}
	}
	root.Inode = rootInode
	root.Get(lostAndFound).Inode = lostAndFoundInode
	if err := v.number(root); err != nil {
		return err
	}
	w := &writer{volume: v, spool: spool, buffer: make([]byte, copyBlocksMax*blockBytes), written: map[*tree.Node]bool{}}
	if err := w.writeTree(root, rootInode); err != nil {
		return err
	}
	return v.flush()
}

// freeBlocksOf frees the blocks that mkfs has allocated for a directory, which will be rewritten.
func (v *volume) freeBlocksOf(number uint32) error {
	inode, err := v.readInode(number)
	if err != nil {
		return err
	}
	for _, run := range extentsOf(inode) {
		for block := run.first; block < run.first+run.count; block++ {
			v.free(block)
		}
	}
	return nil
}

// number assigns inodes to everything below a directory. The entries of one directory get consecutive numbers.
func (v *volume) number(directory *tree.Node) error {
	children := directory.Children()
	for _, child := range children {
		if child.Node.Inode != 0 {
			continue
		}
		inode, err := v.allocateInode(child.Node.Kind == tree.Directory)
		if err != nil {
			return err
		}
		child.Node.Inode = inode
	}
	for _, child := range children {
		if child.Node.Kind == tree.Directory {
			if err := v.number(child.Node); err != nil {
				return err
			}
		}
	}
	return nil
}

type writer struct {
	*volume
	spool   io.ReaderAt
	buffer  []byte
	written map[*tree.Node]bool
}

func (w *writer) writeTree(directory *tree.Node, parent uint32) error {
	blocksMin := 1
	if directory.Inode == lostAndFoundInode {
		blocksMin = lostAndFoundBlocks
	}
	if err := w.writeDirectory(directory, parent, blocksMin); err != nil {
		return err
	}
	for _, child := range directory.Children() {
		var err error
		if child.Node.Kind == tree.Directory {
			err = w.writeTree(child.Node, directory.Inode)
		} else {
			err = w.writeOnce(child.Node)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeOnce writes a node once, even if it has several names.
func (w *writer) writeOnce(node *tree.Node) error {
	if node.Links > 1 {
		if w.written[node] {
			return nil
		}
		w.written[node] = true
	}
	i := w.newInode(node)
	rare := node.Rare()
	switch node.Kind {
	case tree.File:
		i.setSize(node.Size)
		if err := w.copyContent(i, node.Content); err != nil {
			return err
		}
	case tree.Symlink:
		i.setSize(int64(len(rare.Target)))
		if !i.setShortTarget(rare.Target) {
			block := make([]byte, blockBytes)
			copy(block, rare.Target)
			if err := w.writeContent(i, [][]byte{block}); err != nil {
				return err
			}
		}
	case tree.CharDevice, tree.BlockDevice:
		i.setDevice(rare.Major, rare.Minor)
	}
	return w.finishInode(i, node)
}

func (v *volume) finishInode(i *inode, node *tree.Node) error {
	if err := v.setAttributes(i, attributesOf(node)); err != nil {
		return err
	}
	return v.writeInode(i)
}

// copyContent copies a file's blocks from the spool into free blocks.
func (w *writer) copyContent(i *inode, content []tree.Extent) error {
	var mappings []mapping
	for _, extent := range content {
		for done := uint32(0); done < extent.Count; {
			wanted := extent.Count - done
			if wanted > extentBlocksMax {
				wanted = extentBlocksMax
			}
			taken, err := w.allocate(wanted)
			if err != nil {
				return err
			}
			if err := w.copyBlocks(extent.Spool+done, taken); err != nil {
				return err
			}
			mappings = joined(mappings, mapping{extent.File + done, taken})
			done += taken.count
		}
	}
	return w.setExtents(i, mappings)
}

func joined(mappings []mapping, next mapping) []mapping {
	if len(mappings) > 0 {
		last := &mappings[len(mappings)-1]
		if last.fileBlock+last.count == next.fileBlock && last.first+last.count == next.first && last.count+next.count <= extentBlocksMax {
			last.count += next.count
			return mappings
		}
	}
	return append(mappings, next)
}

func (w *writer) copyBlocks(from uint32, to run) error {
	for done := uint32(0); done < to.count; {
		count := to.count - done
		if count > copyBlocksMax {
			count = copyBlocksMax
		}
		buffer := w.buffer[:count*blockBytes]
		if _, err := w.spool.ReadAt(buffer, int64(from+done)*blockBytes); err != nil {
			return err
		}
		if _, err := w.file.WriteAt(buffer, int64(to.first+done)*blockBytes); err != nil {
			return err
		}
		done += count
	}
	return nil
}

// NeedLostAndFound makes lost+found, which every ext4 file system has.
func NeedLostAndFound(files *tree.Tree) error {
	return files.NeedDirectory(lostAndFound, 0o700)
}

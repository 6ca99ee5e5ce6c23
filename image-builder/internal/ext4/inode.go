package ext4

import (
	"encoding/binary"

	"image-builder/internal/tree"
)

const (
	usesExtents = 0x80000
	extraBytes  = 32
	// Offset of the block map, a short link's target or a device's number.
	mapAt    = 0x28
	mapBytes = 60
	// Offset of attributes that fit into the inode.
	attributesAt = 128 + extraBytes
	sectorBytes  = 512
	// Maximum link count of a directory. Beyond it the count is 1, which means unknown.
	directoryLinksMax = 65000
)

// typeBits are a file type's bits in the mode and its number in directory entries.
var typeBits = map[tree.Kind]struct {
	mode  uint32
	entry byte
}{
	tree.File:        {0o100000, 1},
	tree.Directory:   {0o040000, 2},
	tree.CharDevice:  {0o020000, 3},
	tree.BlockDevice: {0o060000, 4},
	tree.Fifo:        {0o010000, 5},
	tree.Socket:      {0o140000, 6},
	tree.Symlink:     {0o120000, 7},
}

// inode is one record of the inode table.
type inode struct {
	number uint32
	// Start value of all checksums of this inode.
	seed uint32
	data []byte
	// Blocks that it uses, including those of its maps and attributes.
	blocks uint32
}

func (v *volume) newInode(node *tree.Node) *inode {
	i := &inode{number: node.Inode, data: make([]byte, inodeBytes)}
	// The inode's generation is 0.
	i.seed = checksumOfNumber(checksumOfNumber(v.seed, node.Inode), 0)
	put16(i.data, 0x0, typeBits[node.Kind].mode|uint32(node.Mode))
	putSplit16(i.data, 0x2, 0x78, node.UID)
	putSplit16(i.data, 0x18, 0x7a, node.GID)
	put16(i.data, 0x1a, node.Links)
	put16(i.data, 0x80, extraBytes)
	// atime, ctime, mtime and crtime are equal, because an archive has one time.
	extra := uint32((node.Seconds-int64(int32(node.Seconds)))>>32)&3 | node.Nanoseconds<<2
	for field, extraField := range map[int]int{0x8: 0x8c, 0xc: 0x84, 0x10: 0x88, 0x90: 0x94} {
		put32(i.data, field, uint32(node.Seconds))
		put32(i.data, extraField, extra)
	}
	return i
}

func (i *inode) setSize(size int64) {
	put32(i.data, 0x4, uint32(size))
	put32(i.data, 0x6c, uint32(size>>32))
}

func (i *inode) addFlags(flags uint32) { put32(i.data, 0x20, get32(i.data, 0x20)|flags) }

func (v *volume) writeInode(i *inode) error {
	put32(i.data, 0x1c, i.blocks*(blockBytes/sectorBytes))
	putSplit16(i.data, 0x7c, 0x82, 0)
	putSplit16(i.data, 0x7c, 0x82, checksum(i.seed, i.data))
	_, err := v.file.WriteAt(i.data, v.inodeAt(i.number))
	return err
}

// setDevice writes a device number as the kernel does: in the old format if the number fits into it.
func (i *inode) setDevice(major, minor uint32) {
	if major < 256 && minor < 256 {
		put32(i.data, mapAt, major<<8|minor)
		return
	}
	put32(i.data, mapAt+4, minor&0xff|major<<8|minor&^0xff<<12)
}

// setShortTarget writes a link's target into the inode; false if it is too long.
func (i *inode) setShortTarget(target string) bool {
	if len(target) >= mapBytes {
		return false
	}
	copy(i.data[mapAt:], target)
	return true
}

// mapping lists a file's extents in the file system, ordered by file block.
type mapping struct {
	fileBlock uint32
	run
}

const (
	extentMagic     = 0xf30a
	extentEntry     = 12
	extentsInInode  = (mapBytes - extentEntry) / extentEntry
	extentsInBlock  = (blockBytes - extentEntry) / extentEntry
	extentTailAt    = extentEntry + extentsInBlock*extentEntry
	extentBlocksMax = 32768
)

// setExtents writes the map of an inode's blocks as a tree of minimum depth.
func (v *volume) setExtents(i *inode, mappings []mapping) error {
	i.addFlags(usesExtents)
	entries := make([][]byte, len(mappings))
	for at, m := range mappings {
		entry := make([]byte, extentEntry)
		put32(entry, 0, m.fileBlock)
		put16(entry, 4, m.count)
		put32(entry, 8, m.first)
		entries[at] = entry
		i.blocks += m.count
	}
	depth := uint32(0)
	for ; len(entries) > extentsInInode; depth++ {
		upper, err := v.writeExtentBlocks(i, entries, depth)
		if err != nil {
			return err
		}
		entries = upper
	}
	putExtentNode(i.data[mapAt:mapAt+mapBytes], entries, extentsInInode, depth)
	return nil
}

// writeExtentBlocks writes one level of the tree and returns the entries of the level above.
func (v *volume) writeExtentBlocks(i *inode, entries [][]byte, depth uint32) (upper [][]byte, err error) {
	for len(entries) > 0 {
		count := len(entries)
		if count > extentsInBlock {
			count = extentsInBlock
		}
		block := make([]byte, blockBytes)
		putExtentNode(block, entries[:count], extentsInBlock, depth)
		put32(block, extentTailAt, checksum(i.seed, block[:extentTailAt]))
		number, err := v.allocateBlock()
		if err != nil {
			return nil, err
		}
		if err := v.writeBlock(number, block); err != nil {
			return nil, err
		}
		i.blocks++
		index := make([]byte, extentEntry)
		copy(index, entries[0][:4])
		binary.LittleEndian.PutUint32(index[4:], number)
		upper = append(upper, index)
		entries = entries[count:]
	}
	return upper, nil
}

func putExtentNode(data []byte, entries [][]byte, entriesMax int, depth uint32) {
	put16(data, 0, extentMagic)
	put16(data, 2, uint32(len(entries)))
	put16(data, 4, uint32(entriesMax))
	put16(data, 6, depth)
	for at, entry := range entries {
		copy(data[extentEntry*(at+1):], entry)
	}
}

// extentsOf lists the blocks of an inode made by mkfs, whose map is inside the inode.
func extentsOf(inode []byte) []run {
	var runs []run
	data := inode[mapAt : mapAt+mapBytes]
	if get32(inode, 0x20)&usesExtents == 0 || get16(data, 0) != extentMagic || get16(data, 6) != 0 {
		return nil
	}
	for at := uint32(0); at < get16(data, 2) && at < extentsInInode; at++ {
		entry := data[extentEntry*(at+1):]
		runs = append(runs, run{get32(entry, 8), get16(entry, 4)})
	}
	return runs
}

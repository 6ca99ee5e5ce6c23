package ext4

import "encoding/binary"

const (
	inodesUninitialized = 0x1
	blocksUninitialized = 0x2
	readOnlySparseSuper = 0x1
)

// group is a block group: 128 MiB with its bitmaps and its part of the inode table.
type group struct {
	number     uint32
	descriptor []byte
	inodeTable uint32
	blockBits  bitmap
	inodeBits  bitmap

	freeBlocks, freeInodes, directories uint32
	// Number of inodes used; those behind are free.
	inodesUsed uint32
	isChanged  bool
}

func (v *volume) readGroups() error {
	count := (v.blocks + v.blocksPerGroup - 1) / v.blocksPerGroup
	table := make([]byte, count*descriptorBytes)
	if _, err := v.file.ReadAt(table, blockBytes); err != nil {
		return err
	}
	for number := uint32(0); number < count; number++ {
		descriptor := table[number*descriptorBytes : (number+1)*descriptorBytes]
		v.groups = append(v.groups, &group{
			number:      number,
			descriptor:  descriptor,
			inodeTable:  get32(descriptor, 0x8),
			freeBlocks:  get16(descriptor, 0xc) | get16(descriptor, 0x2c)<<16,
			freeInodes:  get16(descriptor, 0xe) | get16(descriptor, 0x2e)<<16,
			directories: get16(descriptor, 0x10) | get16(descriptor, 0x30)<<16,
			inodesUsed:  v.inodesPerGroup - (get16(descriptor, 0x1c) | get16(descriptor, 0x32)<<16),
		})
	}
	for _, group := range v.groups {
		if err := v.readBitmaps(group); err != nil {
			return err
		}
	}
	return v.markMetadata()
}

// readBitmaps reads the bitmaps that mkfs has written. All others are empty, except for what markMetadata marks.
func (v *volume) readBitmaps(g *group) (err error) {
	flags := get16(g.descriptor, 0x12)
	g.blockBits, g.inodeBits = make(bitmap, blockBytes), make(bitmap, blockBytes)
	if flags&blocksUninitialized == 0 {
		if g.blockBits, err = v.readBlock(get32(g.descriptor, 0x0)); err != nil {
			return err
		}
	}
	if flags&inodesUninitialized == 0 {
		if g.inodeBits, err = v.readBlock(get32(g.descriptor, 0x4)); err != nil {
			return err
		}
	}
	// Blocks beyond the end of the file system count as used.
	for i := v.inodesPerGroup; i < blockBytes*8; i++ {
		g.inodeBits.set(i)
	}
	for i := v.blocksPerGroup; i < blockBytes*8; i++ {
		g.blockBits.set(i)
	}
	for i := g.number * v.blocksPerGroup; i < (g.number+1)*v.blocksPerGroup; i++ {
		if i >= v.blocks {
			g.blockBits.set(i % v.blocksPerGroup)
		}
	}
	return nil
}

// markMetadata marks the blocks of superblocks, descriptors, bitmaps and inode tables as used.
func (v *volume) markMetadata() error {
	mark := func(first, count uint32) {
		for block := first; block < first+count && block < v.blocks; block++ {
			v.groups[block/v.blocksPerGroup].blockBits.set(block % v.blocksPerGroup)
		}
	}
	tables := (uint32(len(v.groups))*descriptorBytes + blockBytes - 1) / blockBytes
	reserved := get16(v.super, 0xce)
	isSparse := get32(v.super, 0x64)&readOnlySparseSuper != 0
	inodeBlocks := (v.inodesPerGroup*inodeBytes + blockBytes - 1) / blockBytes
	for _, group := range v.groups {
		if !isSparse || hasBackup(group.number) {
			mark(group.number*v.blocksPerGroup, 1+tables+reserved)
		}
		mark(get32(group.descriptor, 0x0), 1)
		mark(get32(group.descriptor, 0x4), 1)
		mark(group.inodeTable, inodeBlocks)
	}
	return nil
}

// hasBackup reports whether a group begins with a copy of the superblock: 0, 1 and the powers of 3, 5 and 7 do.
func hasBackup(number uint32) bool {
	if number <= 1 {
		return true
	}
	for _, base := range []uint32{3, 5, 7} {
		power := base
		for power < number {
			power *= base
		}
		if power == number {
			return true
		}
	}
	return false
}

func (g *group) takeBlock(at uint32) {
	g.blockBits.set(at)
	g.freeBlocks--
	g.isChanged = true
}

func (g *group) freeBlock(at uint32) {
	g.blockBits.clear(at)
	g.freeBlocks++
	g.isChanged = true
}

func (g *group) takeInode(at uint32, isDirectory bool) {
	g.inodeBits.set(at)
	g.freeInodes--
	g.isChanged = true
	if isDirectory {
		g.directories++
	}
	if at >= g.inodesUsed {
		g.inodesUsed = at + 1
	}
}

// writeGroup writes the bitmaps of a changed group, and updates its descriptor in memory.
func (v *volume) writeGroup(g *group) error {
	if !g.isChanged {
		return nil
	}
	d := g.descriptor
	if err := v.writeBlock(get32(d, 0x0), g.blockBits); err != nil {
		return err
	}
	if err := v.writeBlock(get32(d, 0x4), g.inodeBits); err != nil {
		return err
	}
	putSplit16(d, 0xc, 0x2c, g.freeBlocks)
	putSplit16(d, 0xe, 0x2e, g.freeInodes)
	putSplit16(d, 0x10, 0x30, g.directories)
	putSplit16(d, 0x1c, 0x32, v.inodesPerGroup-g.inodesUsed)
	put16(d, 0x12, get16(d, 0x12)&^(inodesUninitialized|blocksUninitialized))
	putSplit16(d, 0x18, 0x38, checksum(v.seed, g.blockBits[:v.blocksPerGroup/8]))
	putSplit16(d, 0x1a, 0x3a, checksum(v.seed, g.inodeBits[:v.inodesPerGroup/8]))
	return nil
}

func (v *volume) writeDescriptors() error {
	var table []byte
	for _, group := range v.groups {
		d := group.descriptor
		sum := checksum(v.seed, binary.LittleEndian.AppendUint32(nil, group.number))
		sum = checksum(sum, d[:0x1e])
		sum = checksum(sum, []byte{0, 0})
		sum = checksum(sum, d[0x20:])
		put16(d, 0x1e, sum&0xffff)
		table = append(table, d...)
	}
	_, err := v.file.WriteAt(table, blockBytes)
	return err
}

package ext4

import (
	"encoding/binary"
	"math/bits"
)

// Offsets of fields in a group's descriptor; the high halves exist in descriptors of 64 bytes.
const (
	blockBitmapAt        = 0x0
	inodeBitmapAt        = 0x4
	inodeTableAt         = 0x8
	groupFreeBlocksAt    = 0xc
	groupFreeInodesAt    = 0xe
	flagsAt              = 0x12
	blockBitmapSumAt     = 0x18
	unusedInodesAt       = 0x1c
	descriptorSumAt      = 0x1e
	highHalf             = 0x20
	blockBitmapSumHighAt = 0x38

	flagNoInodes  = 1
	flagNoBlocks  = 2
	flagTableZero = 4

	bitmapsOfGroup = 2
)

// descriptor is a block group's descriptor.
type descriptor []byte

func (d descriptor) short(at int) uint16           { return binary.LittleEndian.Uint16(d[at:]) }
func (d descriptor) setShort(at int, value uint16) { binary.LittleEndian.PutUint16(d[at:], value) }

// place reads a block number, whose high half exists in descriptors of 64 bytes.
func (d descriptor) place(at int) uint64 {
	value := uint64(binary.LittleEndian.Uint32(d[at:]))
	if len(d) > highHalf {
		value |= uint64(binary.LittleEndian.Uint32(d[at+highHalf:])) << 32
	}
	return value
}

func (d descriptor) setPlace(at int, value uint64) {
	binary.LittleEndian.PutUint32(d[at:], uint32(value))
	if len(d) > highHalf {
		binary.LittleEndian.PutUint32(d[at+highHalf:], uint32(value>>32))
	}
}

// seal sets the descriptor's checksum.
func (d descriptor) seal(seed uint32, group uint64) {
	var number [4]byte
	binary.LittleEndian.PutUint32(number[:], uint32(group))
	sum := checksum(seed, number[:])
	sum = checksum(sum, d[:descriptorSumAt])
	sum = checksum(sum, []byte{0, 0})
	if len(d) > highHalf {
		sum = checksum(sum, d[highHalf:])
	}
	d.setShort(descriptorSumAt, uint16(sum))
}

// describe makes the descriptor of a new group. Its bitmaps need not be written, and its inode table is zero
// because nothing was written there; both follow the group's metadata blocks.
func (g geometry) describe(d descriptor, seed uint32, group uint64) (freeBlocks uint64) {
	begin := g.first(group) + g.describing(group)
	freeBlocks = g.length(group) - g.overhead(group)
	d.setPlace(blockBitmapAt, begin)
	d.setPlace(inodeBitmapAt, begin+1)
	d.setPlace(inodeTableAt, begin+bitmapsOfGroup)
	d.setShort(groupFreeBlocksAt, uint16(freeBlocks))
	d.setShort(groupFreeInodesAt, uint16(g.inodesPerGroup))
	d.setShort(unusedInodesAt, uint16(g.inodesPerGroup))
	d.setShort(flagsAt, flagNoInodes|flagNoBlocks|flagTableZero)
	d.seal(seed, group)
	return freeBlocks
}

// overhead is the number of a new group's blocks that hold no data.
func (g geometry) overhead(group uint64) uint64 {
	return g.describing(group) + bitmapsOfGroup + g.tableBlocks
}

// newBitmap is the block bitmap of a new group. e2fsck requires the last group's bitmap to exist.
func (g geometry) newBitmap(d descriptor, seed uint32, group uint64) []byte {
	bitmap := make([]byte, g.blockBytes)
	setBits(bitmap, 0, g.overhead(group))
	setBits(bitmap, g.length(group), 8*g.blockBytes)
	d.setShort(flagsAt, d.short(flagsAt)&^flagNoBlocks)
	g.sign(d, seed, group, bitmap)
	return bitmap
}

// lengthen adds blocks to the former last group. Repeating it changes nothing, so it is safe after an
// interruption.
func (g geometry) lengthen(d descriptor, seed uint32, group, from uint64, bitmap []byte) {
	for bit := from; bit < g.length(group); bit++ {
		bitmap[bit/8] &^= 1 << (bit % 8)
	}
	used := uint64(0)
	for _, eight := range bitmap[:g.blocksPerGroup/8] {
		used += uint64(bits.OnesCount8(eight))
	}
	// Bits beyond the end of the file system are set.
	d.setShort(groupFreeBlocksAt, uint16(g.blocksPerGroup-used))
	g.sign(d, seed, group, bitmap)
}

// sign sets the checksums of a block bitmap and its descriptor.
func (g geometry) sign(d descriptor, seed uint32, group uint64, bitmap []byte) {
	sum := checksum(seed, bitmap[:g.blocksPerGroup/8])
	d.setShort(blockBitmapSumAt, uint16(sum))
	if len(d) > blockBitmapSumHighAt {
		d.setShort(blockBitmapSumHighAt, uint16(sum>>16))
	}
	d.seal(seed, group)
}

func setBits(bitmap []byte, from, to uint64) {
	for bit := from; bit < to; bit++ {
		bitmap[bit/8] |= 1 << (bit % 8)
	}
}

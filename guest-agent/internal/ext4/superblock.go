package ext4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Offsets of fields in a superblock, which begins 1024 bytes into the disk.
const (
	superblockOffset = 1024
	superblockBytes  = 1024

	inodesAt          = 0x0
	blocksLowAt       = 0x4
	freeBlocksLowAt   = 0xc
	freeInodesAt      = 0x10
	firstDataBlockAt  = 0x14
	blockShiftAt      = 0x18
	blocksPerGroupAt  = 0x20
	clusterPerGroupAt = 0x24
	inodesPerGroupAt  = 0x28
	magicAt           = 0x38
	stateAt           = 0x3a
	inodeBytesAt      = 0x58
	groupNumberAt     = 0x5a
	compatibleAt      = 0x5c
	incompatibleAt    = 0x60
	readOnlyAt        = 0x64
	uuidAt            = 0x68
	uuidBytes         = 16
	reservedGdtAt     = 0xce
	descriptorBytesAt = 0xfe
	firstMetaGroupAt  = 0x104
	blocksHighAt      = 0x150
	freeBlocksHighAt  = 0x158
	overheadAt        = 0x248
	checksumSeedAt    = 0x270
	checksumAt        = 0x3fc

	magic         = 0xef53
	blockShiftMax = 6
	stateValid    = 1
	stateErrors   = 2
)

// Features that affect growing.
const (
	compatResizeInode  = 0x10
	compatSparseSuper2 = 0x200

	incompatRecover  = 0x4
	incompatMetaBg   = 0x10
	incompat64Bit    = 0x80
	incompatCsumSeed = 0x2000
	// File types, extents, flexible groups, large attributes and directories, inline data, encryption, folded case.
	incompatNeutral = 0x2 | 0x40 | 0x200 | 0x400 | 0x4000 | 0x8000 | 0x10000 | 0x20000

	readOnlySparseSuper = 0x1
	readOnlyChecksums   = 0x400
	// Large files, huge files, many links, large inodes, quota, project quota, verity, an orphan file with contents.
	readOnlyNeutral = 0x2 | 0x8 | 0x20 | 0x40 | 0x100 | 0x2000 | 0x8000 | 0x10000
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum continues a checksum in the kernel's way: without inverting before or after.
func checksum(seed uint32, data []byte) uint32 { return ^crc32.Update(^seed, castagnoli, data) }

// Superblock is the superblock as read from a disk.
type Superblock struct{ raw []byte }

// ReadSuperblock fails for a disk without ext4.
func ReadSuperblock(disk io.ReaderAt) (Superblock, error) {
	raw := make([]byte, superblockBytes)
	if _, err := disk.ReadAt(raw, superblockOffset); err != nil {
		return Superblock{}, err
	}
	s := Superblock{raw}
	if s.short(magicAt) != magic {
		return Superblock{}, errors.New("not an ext4 file system")
	}
	if s.word(blockShiftAt) > blockShiftMax {
		return Superblock{}, errors.New("not an ext4 block size")
	}
	return s, nil
}

// BlockBytes is the size of a block.
func (s Superblock) BlockBytes() uint64 { return 1024 << s.word(blockShiftAt) }

// Blocks is the size of the file system.
func (s Superblock) Blocks() uint64 { return s.long(blocksLowAt, blocksHighAt) }

// NeedsRecovery is true when the journal holds changes that a mount would apply, possibly to the superblock
// too.
func (s Superblock) NeedsRecovery() bool { return s.word(incompatibleAt)&incompatRecover != 0 }

// checkGrowable returns why a file system cannot be grown here; nil when it can.
func (s Superblock) checkGrowable() error {
	compatible, incompatible, readOnly := s.word(compatibleAt), s.word(incompatibleAt), s.word(readOnlyAt)
	const incompatKnown = incompatMetaBg | incompat64Bit | incompatCsumSeed | incompatNeutral
	const readOnlyKnown = readOnlySparseSuper | readOnlyChecksums | readOnlyNeutral
	switch {
	case s.short(stateAt)&(stateValid|stateErrors) != stateValid:
		return errors.New("the file system has errors")
	case compatible&compatResizeInode != 0 || s.short(reservedGdtAt) != 0:
		return errors.New("the file system reserves descriptors")
	case compatible&compatSparseSuper2 != 0 || readOnly&readOnlySparseSuper == 0:
		return errors.New("the file system keeps its copies in other places")
	case readOnly&readOnlyChecksums == 0:
		return errors.New("the file system has no checksums")
	case incompatible&^incompatKnown != 0 || readOnly&^readOnlyKnown != 0:
		return fmt.Errorf("the file system has unknown features: %#x, %#x", incompatible, readOnly)
	case s.word(firstDataBlockAt) != 0 || s.word(blocksPerGroupAt) != s.word(clusterPerGroupAt):
		return errors.New("the file system has another layout of blocks")
	case checksum(^uint32(0), s.raw[:checksumAt]) != s.word(checksumAt):
		return errors.New("the superblock is damaged")
	}
	return s.checkSizes()
}

// checkSizes refuses values that geometry could not handle.
func (s Superblock) checkSizes() error {
	bits, descriptorBytes := 8*s.BlockBytes(), uint64(s.descriptorBytes())
	blocks, inodes := uint64(s.word(blocksPerGroupAt)), uint64(s.word(inodesPerGroupAt))
	if s.Blocks() == 0 || s.short(inodeBytesAt) == 0 || blocks == 0 || blocks > bits || blocks%8 != 0 || inodes == 0 ||
		inodes > bits || descriptorBytes < 32 || s.BlockBytes()%descriptorBytes != 0 {
		return errors.New("the file system's layout is invalid")
	}
	return nil
}

func (s Superblock) descriptorBytes() uint16 {
	if s.word(incompatibleAt)&incompat64Bit == 0 {
		return 32
	}
	return s.short(descriptorBytesAt)
}

// seed is the initial value of the checksums of descriptors and bitmaps.
func (s Superblock) seed() uint32 {
	if s.word(incompatibleAt)&incompatCsumSeed != 0 {
		return s.word(checksumSeedAt)
	}
	return checksum(^uint32(0), s.raw[uuidAt:uuidAt+uuidBytes])
}

// copyFor is the superblock's copy in the given group.
func (s Superblock) copyFor(group uint64) []byte {
	copied := Superblock{append([]byte(nil), s.raw...)}
	copied.setShort(groupNumberAt, uint16(group))
	copied.setWord(checksumAt, checksum(^uint32(0), copied.raw[:checksumAt]))
	return copied.raw
}

func (s Superblock) short(at int) uint16 { return binary.LittleEndian.Uint16(s.raw[at:]) }
func (s Superblock) word(at int) uint32  { return binary.LittleEndian.Uint32(s.raw[at:]) }

// long combines two halves; the high one only counts with 64-bit block numbers.
func (s Superblock) long(lowAt, highAt int) uint64 {
	value := uint64(s.word(lowAt))
	if s.word(incompatibleAt)&incompat64Bit != 0 {
		value |= uint64(s.word(highAt)) << 32
	}
	return value
}

func (s Superblock) setShort(at int, value uint16) { binary.LittleEndian.PutUint16(s.raw[at:], value) }
func (s Superblock) setWord(at int, value uint32)  { binary.LittleEndian.PutUint32(s.raw[at:], value) }

func (s Superblock) setLong(lowAt, highAt int, value uint64) {
	s.setWord(lowAt, uint32(value))
	if s.word(incompatibleAt)&incompat64Bit != 0 {
		s.setWord(highAt, uint32(value>>32))
	}
}

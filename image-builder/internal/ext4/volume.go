// Package ext4 writes a tree into an empty ext4 file system made by mkfs.ext4. It writes each directory once and
// completely, so its time grows only with the number of files. `mkfs.ext4 -d` searches a directory for each file it adds.
//
// It requires 4 KiB blocks, 256-byte inodes, extents, 64-bit descriptors and metadata checksums
// (https://docs.kernel.org/filesystems/ext4).
package ext4

import (
	"errors"
	"fmt"
	"os"
)

const (
	blockBytes      = 4096
	inodeBytes      = 256
	descriptorBytes = 64
	superAt         = 1024
	superBytes      = 1024

	magic              = 0xef53
	compatSparseSuper2 = 0x200
	incompatFileType   = 0x2
	incompatMetaGroups = 0x10
	incompatExtents    = 0x40
	incompat64Bit      = 0x80
	incompatSeed       = 0x2000
	incompatInlineData = 0x8000
	readOnlyChecksums  = 0x400
	readOnlyBigAlloc   = 0x200
)

// volume is the file system being filled.
type volume struct {
	file           *os.File
	super          []byte
	seed           uint32
	blocks         uint32
	blocksPerGroup uint32
	inodesPerGroup uint32
	groups         []*group
	nextBlock      uint32
	nextInode      uint32
}

func openVolume(file *os.File) (*volume, error) {
	v := &volume{file: file, super: make([]byte, superBytes)}
	if _, err := file.ReadAt(v.super, superAt); err != nil {
		return nil, err
	}
	if err := v.checkFormat(); err != nil {
		return nil, err
	}
	v.blocks = get32(v.super, 0x4)
	v.blocksPerGroup = get32(v.super, 0x20)
	v.inodesPerGroup = get32(v.super, 0x28)
	v.seed = checksum(^uint32(0), v.super[0x68:0x78])
	if get32(v.super, 0x60)&incompatSeed != 0 {
		v.seed = get32(v.super, 0x270)
	}
	return v, v.readGroups()
}

func (v *volume) checkFormat() error {
	super := v.super
	compat, incompat, readOnly := get32(super, 0x5c), get32(super, 0x60), get32(super, 0x64)
	const needed = incompatFileType | incompatExtents | incompat64Bit
	const unknown = incompatMetaGroups | incompatInlineData
	switch {
	case get16(super, 0x38) != magic:
		return errors.New("mkfs.ext4 made no ext4 file system")
	case get32(super, 0x18) != 2 || get16(super, 0x58) != inodeBytes || get16(super, 0xfe) != descriptorBytes:
		return errors.New("mkfs.ext4 chose other sizes of blocks, inodes or descriptors")
	case incompat&needed != needed || incompat&unknown != 0 || readOnly&readOnlyChecksums == 0 || readOnly&readOnlyBigAlloc != 0 || compat&compatSparseSuper2 != 0:
		return fmt.Errorf("mkfs.ext4 chose features that are not handled: %#x %#x %#x", compat, incompat, readOnly)
	case get32(super, 0x150) != 0:
		return errors.New("the file system has 2^32 blocks or more")
	}
	return nil
}

func (v *volume) readBlock(number uint32) ([]byte, error) {
	block := make([]byte, blockBytes)
	_, err := v.file.ReadAt(block, int64(number)*blockBytes)
	return block, err
}

func (v *volume) writeBlock(number uint32, block []byte) error {
	_, err := v.file.WriteAt(block, int64(number)*blockBytes)
	return err
}

// run is a sequence of consecutive blocks.
type run struct{ first, count uint32 }

var errFull = errors.New("the file system is too small for the tree")

// allocate takes the next free blocks: a run of at most `wanted`.
func (v *volume) allocate(wanted uint32) (run, error) {
	for ; v.nextBlock < v.blocks; v.nextBlock++ {
		group, at := v.groups[v.nextBlock/v.blocksPerGroup], v.nextBlock%v.blocksPerGroup
		if group.blockBits.has(at) {
			continue
		}
		taken := run{first: v.nextBlock}
		for taken.count < wanted && at < v.blocksPerGroup && v.nextBlock < v.blocks && !group.blockBits.has(at) {
			group.takeBlock(at)
			taken.count, at, v.nextBlock = taken.count+1, at+1, v.nextBlock+1
		}
		return taken, nil
	}
	return run{}, errFull
}

func (v *volume) allocateBlock() (uint32, error) {
	taken, err := v.allocate(1)
	return taken.first, err
}

// free frees a block. It is allocated again only if the search has not passed it yet.
func (v *volume) free(block uint32) {
	v.groups[block/v.blocksPerGroup].freeBlock(block % v.blocksPerGroup)
}

func (v *volume) allocateInode(isDirectory bool) (uint32, error) {
	total := v.inodesPerGroup * uint32(len(v.groups))
	for ; v.nextInode < total; v.nextInode++ {
		group, at := v.groups[v.nextInode/v.inodesPerGroup], v.nextInode%v.inodesPerGroup
		if group.inodeBits.has(at) {
			continue
		}
		group.takeInode(at, isDirectory)
		v.nextInode++
		return v.nextInode, nil
	}
	return 0, errFull
}

func (v *volume) inodeAt(number uint32) int64 {
	group, at := v.groups[(number-1)/v.inodesPerGroup], (number-1)%v.inodesPerGroup
	return int64(group.inodeTable)*blockBytes + int64(at)*inodeBytes
}

func (v *volume) readInode(number uint32) ([]byte, error) {
	inode := make([]byte, inodeBytes)
	_, err := v.file.ReadAt(inode, v.inodeAt(number))
	return inode, err
}

// flush writes the bitmaps, descriptors and superblock that allocation has changed.
func (v *volume) flush() error {
	var freeBlocks, freeInodes uint32
	for _, group := range v.groups {
		if err := v.writeGroup(group); err != nil {
			return err
		}
		freeBlocks += group.freeBlocks
		freeInodes += group.freeInodes
	}
	if err := v.writeDescriptors(); err != nil {
		return err
	}
	put32(v.super, 0xc, freeBlocks)
	put32(v.super, 0x158, 0)
	put32(v.super, 0x10, freeInodes)
	put32(v.super, 0x3fc, checksum(^uint32(0), v.super[:0x3fc]))
	_, err := v.file.WriteAt(v.super, superAt)
	return err
}

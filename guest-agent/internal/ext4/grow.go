// Package ext4 grows an ext4 file system that is not mounted, to the size of its disk. It writes descriptions of block
// groups only, so the time does not depend on what the file system holds and hardly on its size.
//
// An interruption at any moment is harmless. All new groups are described before the superblock, which is written last
// and in one piece, counts them; before that the kernel never looks there, and growing again writes the same bytes. The
// exception is the last group if it is not a whole one: it is lengthened in place, and mounting it before growing was
// repeated could use blocks beyond the file system's end. So whoever mounts must grow first.
package ext4

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Disk is a block device or file that contains a file system.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// UnsupportedError means that the file system cannot be grown here; nothing was written.
type UnsupportedError struct{ Reason error }

func (e *UnsupportedError) Error() string { return e.Reason.Error() }

// Result is the number of blocks before and after.
type Result struct{ From, To uint64 }

const (
	blocksMax32 = 1<<32 - 1
	inodesMax   = 1<<32 - 1
	// Same rule as e2fsck: a last group with fewer data blocks is not worth its metadata.
	dataBlocksMin = 50
)

// OpenDisk opens a device for growing.
func OpenDisk(path string) (*os.File, error) { return os.OpenFile(path, os.O_RDWR, 0) }

// Grow grows the file system to a disk of the given size in bytes. The journal must have been replayed.
func Grow(disk Disk, diskBytes uint64) (Result, error) {
	super, err := ReadSuperblock(disk)
	if err != nil {
		return Result{}, err
	}
	present := Result{super.Blocks(), super.Blocks()}
	if diskBytes/super.BlockBytes() <= super.Blocks() {
		return present, nil
	}
	if super.NeedsRecovery() {
		return present, errors.New("the journal was not replayed")
	}
	if err := super.checkGrowable(); err != nil {
		return present, &UnsupportedError{err}
	}
	from := super.geometry()
	to := from.grownTo(super.blocksWithin(diskBytes))
	if to.blocks <= from.blocks {
		return present, nil
	}
	if err := grow(disk, super, from, to); err != nil {
		return present, fmt.Errorf("from %d to %d blocks: %w", from.blocks, to.blocks, err)
	}
	return Result{from.blocks, to.blocks}, nil
}

// blocksWithin is the largest possible size of the file system, in blocks.
func (s Superblock) blocksWithin(diskBytes uint64) uint64 {
	g := s.geometry()
	blocks := diskBytes / g.blockBytes
	if most := inodesMax / g.inodesPerGroup * g.blocksPerGroup; blocks > most {
		blocks = most
	}
	if s.word(incompatibleAt)&incompat64Bit == 0 && blocks > blocksMax32 {
		blocks = blocksMax32
	}
	wanted := g.grownTo(blocks)
	last := wanted.groups() - 1
	if last >= g.groups() && wanted.length(last) < wanted.overhead(last)+dataBlocksMin {
		blocks = wanted.first(last)
	}
	return blocks
}

// growing is the growth of a file system from one size to another.
type growing struct {
	disk     Disk
	seed     uint32
	from, to geometry
}

func grow(disk Disk, super Superblock, from, to geometry) error {
	g := growing{disk, super.seed(), from, to}
	freeBlocks := to.length(from.groups()-1) - from.length(from.groups()-1)
	for number := (from.groups() - 1) / to.perBlock(); number*to.perBlock() < to.groups(); number++ {
		added, err := g.writeDescriptors(number)
		if err != nil {
			return err
		}
		freeBlocks += added
	}
	return writeSuperblocks(disk, super.grown(from, to, freeBlocks), to)
}

// writeDescriptors writes the descriptor block with this number, and returns the number of free blocks in its
// new groups.
func (g growing) writeDescriptors(number uint64) (freeBlocks uint64, err error) {
	content, places, last := make([]byte, g.to.blockBytes), g.to.places(number), g.from.groups()-1
	if number == last/g.to.perBlock() {
		if err := g.read(content, places[0]); err != nil {
			return 0, err
		}
		if err := g.lengthenLast(g.to.descriptor(content, last)); err != nil {
			return 0, err
		}
	}
	for group := number * g.to.perBlock(); group < (number+1)*g.to.perBlock() && group < g.to.groups(); group++ {
		if group <= last {
			continue
		}
		d := g.to.descriptor(content, group)
		freeBlocks += g.to.describe(d, g.seed, group)
		if group == g.to.groups()-1 {
			if err := g.write(g.to.newBitmap(d, g.seed, group), d.place(blockBitmapAt)); err != nil {
				return 0, err
			}
		}
	}
	for _, place := range places {
		if err := g.write(content, place); err != nil {
			return 0, err
		}
	}
	return freeBlocks, nil
}

func (g geometry) descriptor(content []byte, group uint64) descriptor {
	at := group % g.perBlock() * g.descriptorBytes
	return descriptor(content[at : at+g.descriptorBytes])
}

func (g growing) lengthenLast(d descriptor) error {
	last := g.from.groups() - 1
	if g.from.length(last) == g.to.length(last) {
		return nil
	}
	if d.short(flagsAt)&flagNoBlocks != 0 {
		return &UnsupportedError{errors.New("the last group has no bitmap")}
	}
	place, bitmap := d.place(blockBitmapAt), make([]byte, g.to.blockBytes)
	if place >= g.from.blocks {
		return errors.New("the last group's bitmap is beyond the end")
	}
	if err := g.read(bitmap, place); err != nil {
		return err
	}
	g.to.lengthen(d, g.seed, last, g.from.length(last), bitmap)
	return g.write(bitmap, place)
}

func (g growing) read(content []byte, block uint64) error {
	_, err := g.disk.ReadAt(content, int64(block*g.to.blockBytes))
	return err
}

func (g growing) write(content []byte, block uint64) error {
	_, err := g.disk.WriteAt(content, int64(block*g.to.blockBytes))
	return err
}

// grown is the superblock that includes the new groups.
func (s Superblock) grown(from, to geometry, freeBlocks uint64) Superblock {
	grown := Superblock{append([]byte(nil), s.raw...)}
	inodes := uint32((to.groups() - from.groups()) * to.inodesPerGroup)
	grown.setWord(inodesAt, s.word(inodesAt)+inodes)
	grown.setWord(freeInodesAt, s.word(freeInodesAt)+inodes)
	grown.setLong(blocksLowAt, blocksHighAt, to.blocks)
	grown.setLong(freeBlocksLowAt, freeBlocksHighAt, s.long(freeBlocksLowAt, freeBlocksHighAt)+freeBlocks)
	if to.isMeta {
		grown.setWord(incompatibleAt, s.word(incompatibleAt)|incompatMetaBg)
		grown.setWord(firstMetaGroupAt, uint32(to.classic))
	}
	// The kernel recomputes it.
	grown.setWord(overheadAt, 0)
	return grown
}

// writeSuperblocks writes the copies and, once everything else is on disk, the superblock itself.
func writeSuperblocks(disk Disk, super Superblock, g geometry) error {
	for group := uint64(1); group < g.groups(); group++ {
		if !hasSuper(group) {
			continue
		}
		content := make([]byte, g.blockBytes)
		copy(content, super.copyFor(group))
		if _, err := disk.WriteAt(content, int64(g.first(group)*g.blockBytes)); err != nil {
			return err
		}
	}
	if err := disk.Sync(); err != nil {
		return err
	}
	if _, err := disk.WriteAt(super.copyFor(0), superblockOffset); err != nil {
		return err
	}
	return disk.Sync()
}

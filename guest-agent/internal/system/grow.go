package system

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"
)

// Where things are in an ext4 superblock, which begins 1024 bytes into the disk.
const (
	superblockOffset = 1024
	superblockBytes  = 1024
	blocksLowAt      = 0x4
	blockSizeAt      = 0x18
	magicAt          = 0x38
	incompatibleAt   = 0x60
	blocksHighAt     = 0x150

	ext4Magic       = 0xef53
	feature64Bit    = 0x80
	blockShiftMax   = 6
	resizeIoctl     = 0x40086610
	groupBlocksLeft = 64
)

// growth is how large an ext4 file system is and could be, in its blocks.
type growth struct {
	present, possible uint64
}

// planGrowth compares an unmounted ext4 with its disk.
func planGrowth(disk string) (growth, error) {
	file, err := os.Open(disk)
	if err != nil {
		return growth{}, err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return growth{}, err
	}
	superblock := make([]byte, superblockBytes)
	if _, err := file.ReadAt(superblock, superblockOffset); err != nil {
		return growth{}, err
	}
	return parseGrowth(superblock, uint64(size))
}

func parseGrowth(superblock []byte, diskBytes uint64) (growth, error) {
	if binary.LittleEndian.Uint16(superblock[magicAt:]) != ext4Magic {
		return growth{}, errors.New("not an ext4 file system")
	}
	shift := binary.LittleEndian.Uint32(superblock[blockSizeAt:])
	if shift > blockShiftMax {
		return growth{}, errors.New("not an ext4 block size")
	}
	blocks := uint64(binary.LittleEndian.Uint32(superblock[blocksLowAt:]))
	if binary.LittleEndian.Uint32(superblock[incompatibleAt:])&feature64Bit != 0 {
		blocks |= uint64(binary.LittleEndian.Uint32(superblock[blocksHighAt:])) << 32
	}
	return growth{present: blocks, possible: diskBytes / (1024 << shift)}, nil
}

// isNeeded is false for a remainder too small to become a block group: the kernel leaves it out each time.
func (g growth) isNeeded() bool { return g.possible > g.present+groupBlocksLeft }

// apply grows the mounted file system.
func (g growth) apply(mounted string) error {
	directory, err := os.Open(mounted)
	if err != nil {
		return err
	}
	defer directory.Close()
	blocks := g.possible
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, directory.Fd(), resizeIoctl, uintptr(unsafe.Pointer(&blocks)))
	if errno != 0 {
		return fmt.Errorf("from %d to %d blocks: %w", g.present, g.possible, errno)
	}
	Log("root file system grown from %d to %d blocks", g.present, g.possible)
	return nil
}

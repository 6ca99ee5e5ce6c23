package system

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"unsafe"

	"guest-agent/internal/ext4"
)

const (
	resizeIoctl     = 0x40086610
	groupBlocksLeft = 64
)

// growth is the present and possible size of a file system, in its blocks.
type growth struct {
	present, possible uint64
}

// isNeeded is false for a remainder too small for a block group, which the kernel would skip each time.
func (g growth) isNeeded() bool { return g.possible > g.present+groupBlocksLeft }

// growUnmounted grows the file system to the size of its disk. If only the kernel can grow it, it is left
// unchanged and the growth to do after mounting is returned. After an error the file system must not be
// mounted.
func growUnmounted(disk string) (growth, error) {
	rest, needsRecovery, err := measure(disk)
	if err != nil || !rest.isNeeded() {
		return growth{}, err
	}
	if needsRecovery {
		// Its superblock may be older than the journal.
		if err := replayJournal(disk); err != nil {
			return growth{}, err
		}
	}
	file, err := ext4.OpenDisk(disk)
	if err != nil {
		return growth{}, err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return growth{}, err
	}
	result, err := ext4.Grow(file, uint64(size))
	var unsupported *ext4.UnsupportedError
	if errors.As(err, &unsupported) {
		Log("root file system grows after it was mounted: %v", err)
		return growth{result.To, rest.possible}, nil
	}
	if err != nil {
		return growth{}, fmt.Errorf("grow root file system: %w", err)
	}
	Log("root file system grown from %d to %d blocks", result.From, result.To)
	return growth{}, nil
}

// measure ignores a disk without ext4: mounting it will report the error.
func measure(disk string) (found growth, needsRecovery bool, err error) {
	file, err := os.Open(disk)
	if err != nil {
		return growth{}, false, err
	}
	defer file.Close()
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return growth{}, false, err
	}
	super, err := ext4.ReadSuperblock(file)
	if err != nil {
		return growth{}, false, nil
	}
	return growth{super.Blocks(), uint64(size) / super.BlockBytes()}, super.NeedsRecovery(), nil
}

// replayJournal mounts and unmounts the disk: if the journal contains a larger size than the superblock, the
// kernel keeps the old size after a mount and then fails to grow.
func replayJournal(disk string) error {
	if err := mountRoot(disk); err != nil {
		return err
	}
	if err := syscall.Unmount(newRoot, 0); err != nil {
		return fmt.Errorf("unmount root disk %s after its journal was replayed: %w", disk, err)
	}
	return nil
}

// growMounted lets the kernel grow it, which takes time and can be interrupted.
func (g growth) growMounted(mounted string) error {
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

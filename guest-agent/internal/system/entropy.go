package system

import (
	"encoding/binary"
	"os"
	"syscall"
	"unsafe"
)

const (
	addEntropyIoctl = 0x40085203
	reseedIoctl     = 0x5207
	bitsPerByte     = 8
	poolHeaderBytes = 8
)

// addEntropy credits the bytes to the kernel's random pool and reseeds its generator: otherwise two guests
// restored from one snapshot would produce the same numbers.
func addEntropy(entropy []byte) error {
	file, err := os.OpenFile("/dev/urandom", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	// struct rand_pool_info, in the machine's byte order: bits of entropy, length, bytes.
	pool := make([]byte, poolHeaderBytes+len(entropy))
	binary.LittleEndian.PutUint32(pool, uint32(len(entropy)*bitsPerByte))
	binary.LittleEndian.PutUint32(pool[4:], uint32(len(entropy)))
	copy(pool[poolHeaderBytes:], entropy)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), addEntropyIoctl, uintptr(unsafe.Pointer(&pool[0]))); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, file.Fd(), reseedIoctl, 0); errno != 0 {
		return errno
	}
	return nil
}

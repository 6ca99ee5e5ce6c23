package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// Constants of linux/if_tun.h and of setns.
const (
	interfaceNameBytes = 16
	interfaceRequest   = 40
	tunSetInterface    = 0x400454ca
	tapFlags           = 0x0002 | 0x1000 | 0x4000 // IFF_TAP, IFF_NO_PI, IFF_VNET_HDR
	cloneNewNet        = 0x40000000
)

// openTaps opens existing tap devices, so that the program needs neither /dev/net/tun nor a right to it. It
// returns what it has opened, also with an error.
func openTaps(taps []Tap) ([]*os.File, error) {
	opened := []*os.File{}
	for _, tap := range taps {
		file, err := openTap(tap)
		if err != nil {
			return opened, fmt.Errorf("open the tap device %s: %w", tap.Name, err)
		}
		opened = append(opened, file)
	}
	return opened, nil
}

// openTap opens the device in its namespace. A descriptor of /dev/net/tun belongs to the namespace in which it
// was opened. The caller's thread is locked, and returns to its own namespace.
func openTap(tap Tap) (*os.File, error) {
	if tap.Netns == nil {
		return attachTap(tap.Name)
	}
	own, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, err
	}
	defer own.Close()
	theirs, err := os.Open(*tap.Netns)
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	if err := enterNetwork(theirs); err != nil {
		return nil, fmt.Errorf("enter %s: %w", *tap.Netns, err)
	}
	file, err := attachTap(tap.Name)
	if back := enterNetwork(own); back != nil {
		// This process must not continue in another namespace.
		if file != nil {
			file.Close()
		}
		return nil, fmt.Errorf("leave %s: %w", *tap.Netns, back)
	}
	return file, err
}

func enterNetwork(namespace *os.File) error {
	if _, _, errno := syscall.RawSyscall(sysSetns, namespace.Fd(), cloneNewNet, 0); errno != 0 {
		return errno
	}
	return nil
}

func attachTap(name string) (*os.File, error) {
	// Not through os.OpenFile, which would add it to the poller: the program expects blocking mode to be its own
	// choice.
	fd, err := syscall.Open("/dev/net/tun", syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var request [interfaceRequest]byte
	copy(request[:interfaceNameBytes-1], name)
	*(*uint16)(unsafe.Pointer(&request[interfaceNameBytes])) = tapFlags
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), tunSetInterface, uintptr(unsafe.Pointer(&request[0]))); errno != 0 {
		syscall.Close(fd)
		return nil, errno
	}
	return os.NewFile(uintptr(fd), name), nil
}

func closeAll(files []*os.File) {
	for _, file := range files {
		_ = file.Close()
	}
}

// keepTaps makes the program inherit the taps; dropRights has marked all descriptors close-on-exec.
func keepTaps(count int) error {
	for fd := firstTapFD; fd < firstTapFD+count; fd++ {
		if _, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETFD, 0); errno != 0 {
			return fmt.Errorf("keep tap device %d: %w", fd, errno)
		}
	}
	return nil
}

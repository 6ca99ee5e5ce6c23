package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// Constants that the syscall package of older Go versions lacks.
const (
	sysMountSetattr   = 442
	atEmptyPath       = 0x1000
	atRecursive       = 0x8000
	mountAttrReadOnly = 0x1
	mountAttrNoSUID   = 0x2
	openPath          = 0x200000
)

// enterJail builds a small file system of the paths that the jail names and makes it the root. The host's
// mounts are then detached, not just hidden.
func enterJail(jail *Jail) error {
	// Mounts made from here on do not appear on the host.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	// This tmpfs holds only directories and mount points; nothing is written to it later.
	const flags = syscall.MS_NOSUID | syscall.MS_NODEV
	if err := syscall.Mount("tmpfs", jail.Root, "tmpfs", flags, "size=1m,mode=0755"); err != nil {
		return fmt.Errorf("mount a root: %w", err)
	}
	for _, path := range append(append([]string{}, jail.ReadOnly...), jail.Writable...) {
		if err := makeMountPoint(jail.Root, path); err != nil {
			return err
		}
	}
	for _, path := range jail.ReadOnly {
		if err := bind(jail.Root, path); err != nil {
			return err
		}
	}
	if err := makeReadOnly(jail.Root); err != nil {
		return err
	}
	for _, path := range jail.Writable {
		if err := bind(jail.Root, path); err != nil {
			return err
		}
	}
	return changeRoot(jail.Root)
}

// makeMountPoint makes a directory or an empty file, matching the host's path.
func makeMountPoint(root, path string) error {
	facts, err := os.Stat(path)
	if err != nil {
		return err
	}
	target := filepath.Join(root, path)
	if facts.IsDir() {
		return os.MkdirAll(target, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY, 0o444)
	if err != nil {
		return err
	}
	return file.Close()
}

func bind(root, path string) error {
	// Without MS_REC: mounts below a directory are not included.
	if err := syscall.Mount(path, filepath.Join(root, path), "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s: %w", path, err)
	}
	return nil
}

// makeReadOnly makes a mount and all mounts below it read-only; needs Linux 5.12. On an older kernel only
// file permissions keep the VMM from writing.
func makeReadOnly(root string) error {
	fd, err := syscall.Open(root, openPath|syscall.O_CLOEXEC|syscall.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	attr := struct{ set, clear, propagation, userns uint64 }{set: mountAttrReadOnly | mountAttrNoSUID}
	empty, err := syscall.BytePtrFromString("")
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall6(sysMountSetattr, uintptr(fd), uintptr(unsafe.Pointer(empty)),
		atEmptyPath|atRecursive, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno == syscall.ENOSYS {
		warn("this kernel cannot make the VMM's files read-only")
		return nil
	}
	if errno != 0 {
		return fmt.Errorf("make the root read-only: %w", errno)
	}
	return nil
}

// changeRoot makes root the root of this namespace and detaches the old one.
func changeRoot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// Stacks the old root on the new one at the same path, so no directory is needed to hold it.
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("take the host's files away: %w", err)
	}
	return os.Chdir("/")
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// Numbers that the syscall package does not have on every Go that builds this.
const (
	sysMountSetattr   = 442
	atEmptyPath       = 0x1000
	atRecursive       = 0x8000
	mountAttrReadOnly = 0x1
	mountAttrNoSUID   = 0x2
	openPath          = 0x200000
)

// enterJail makes a small file system of what the jail names and makes it the root. The host's mounts are out of reach
// afterwards, not only out of sight.
func enterJail(jail *Jail) error {
	// Nothing that is mounted from here on shows on the host.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	// Directories and the files that others are mounted on: nothing is ever written to it.
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

// makeMountPoint makes a directory or an empty file, as the host's path is one.
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
	// Without MS_REC: what is mounted below a directory is not shown.
	if err := syscall.Mount(path, filepath.Join(root, path), "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("show %s: %w", path, err)
	}
	return nil
}

// makeReadOnly makes a mount and all below it read-only; needs Linux 5.12. On an older kernel the VMM's rights alone keep
// it from writing.
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

// changeRoot makes root the root of this namespace and takes the old one away.
func changeRoot(root string) error {
	if err := os.Chdir(root); err != nil {
		return err
	}
	// The new root is put under the old one at the same place, so no directory is needed to hold it.
	if err := syscall.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := syscall.Unmount(".", syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("take the host's files away: %w", err)
	}
	return os.Chdir("/")
}

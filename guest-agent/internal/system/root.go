package system

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

const (
	newRoot     = "/newroot"
	rootOptions = "errors=remount-ro"
	// Otherwise the kernel would zero a grown file system's inode tables in the background, in every copy of the
	// disk.
	rootOptionsLazy = rootOptions + ",noinit_itable"
)

// EnterRoot grows the root disk's file system, mounts it, and makes it the root directory.
func EnterRoot() error {
	disk, err := rootDisk()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(newRoot, 0o755); err != nil {
		return err
	}
	rest, err := growUnmounted(disk)
	if err != nil {
		return err
	}
	if err := mountRoot(disk); err != nil {
		return err
	}
	if rest.isNeeded() {
		if err := rest.growMounted(newRoot); err != nil {
			Complain("grow root file system: %v", err)
		}
	}
	if err := switchRoot(); err != nil {
		return err
	}
	mountUserland()
	return nil
}

func mountRoot(disk string) error {
	err := syscall.Mount(disk, newRoot, "ext4", syscall.MS_NOATIME, rootOptionsLazy)
	if err == syscall.EINVAL {
		err = syscall.Mount(disk, newRoot, "ext4", syscall.MS_NOATIME, rootOptions)
	}
	if err != nil {
		return fmt.Errorf("mount root disk %s as ext4: %w", disk, err)
	}
	return nil
}

func switchRoot() error {
	for _, name := range []string{"/dev", "/proc", "/sys"} {
		if err := os.MkdirAll(newRoot+name, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount(name, newRoot+name, "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move %s to the root disk: %w", name, err)
		}
	}
	removeInitramfs()
	if err := os.Chdir(newRoot); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root disk to /: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return fmt.Errorf("chroot to the root disk: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	// Like other init systems: containers and mount namespaces in the guest expect mounts to propagate.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil {
		Log("share the mounts: %v", err)
	}
	return nil
}

// removeInitramfs frees the memory of the initramfs's files, without touching other file systems.
func removeInitramfs() {
	var root syscall.Stat_t
	if err := syscall.Lstat("/", &root); err != nil {
		return
	}
	entries, _ := os.ReadDir("/")
	for _, entry := range entries {
		removeOn(root.Dev, "/"+entry.Name())
	}
}

func removeOn(device uint64, path string) {
	var info syscall.Stat_t
	if err := syscall.Lstat(path, &info); err != nil || info.Dev != device {
		return
	}
	if info.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		entries, _ := os.ReadDir(path)
		for _, entry := range entries {
			removeOn(device, filepath.Join(path, entry.Name()))
		}
		_ = syscall.Rmdir(path)
		return
	}
	_ = syscall.Unlink(path)
}

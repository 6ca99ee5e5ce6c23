package system

import (
	"fmt"
	"os"
	"syscall"
)

type mountPoint struct {
	source, target, kind string
	flags                uintptr
	options              string
}

const harmless = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC

func (m mountPoint) mount() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.options)
	// A kernel may be built to mount devtmpfs by itself.
	if err != nil && err != syscall.EBUSY {
		return fmt.Errorf("mount %s on %s: %w", m.kind, m.target, err)
	}
	return nil
}

// MountKernel mounts what the rest of the start needs.
func MountKernel() error {
	for _, point := range []mountPoint{
		{"proc", "/proc", "proc", harmless, ""},
		{"sysfs", "/sys", "sysfs", harmless, ""},
		{"devtmpfs", "/dev", "devtmpfs", syscall.MS_NOSUID, "mode=755"},
	} {
		if err := point.mount(); err != nil {
			return err
		}
	}
	return nil
}

// CommandCgroups is the directory of the commands' cgroups.
const CommandCgroups = "/sys/fs/cgroup/flotilla"

// mountUserland mounts what programs expect; a failure does not stop the guest.
func mountUserland() {
	for _, point := range []mountPoint{
		{"tmpfs", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=755,size=20%"},
		{"devpts", "/dev/pts", "devpts", syscall.MS_NOSUID | syscall.MS_NOEXEC, "mode=620,gid=5,ptmxmode=666"},
		{"tmpfs", "/dev/shm", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=1777"},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", harmless, ""},
	} {
		if err := point.mount(); err != nil {
			Log("%v", err)
		}
	}
	for name, target := range map[string]string{
		"/dev/fd":     "/proc/self/fd",
		"/dev/stdin":  "/proc/self/fd/0",
		"/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2",
	} {
		_ = os.Symlink(target, name)
	}
	if err := os.Mkdir("/run/lock", 0o777); err == nil {
		_ = os.Chmod("/run/lock", 0o777|os.ModeSticky)
	}
}

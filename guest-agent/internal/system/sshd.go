package system

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	sshdName = "sshd"
	// sshd shows what a process is for: `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups`, `sshd: root@pts/0`.
	sshdTitle     = "sshd: "
	sshdListening = "[listener]"
)

// ReloadSSHD sends the hangup that makes sshd read its configuration and host keys again. Connections go on.
func (Machine) ReloadSSHD() error {
	listeners, err := sshListeners("/proc")
	if err != nil {
		return err
	}
	for _, pid := range listeners {
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("hang up process %d: %w", pid, err)
		}
	}
	return nil
}

// sshListeners returns the pids of the sshd processes that accept connections, of those that see the same files as this
// process: a container's has keys of its own. A hangup would end the others, which serve one connection each.
func sshListeners(proc string) ([]int, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	own, err := os.Readlink(filepath.Join(proc, "self/ns/mnt"))
	if err != nil {
		return nil, err
	}
	var listeners []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || !isSSHListener(proc, pid) {
			continue
		}
		if files, err := os.Readlink(filepath.Join(proc, entry.Name(), "ns/mnt")); err == nil && files == own {
			listeners = append(listeners, pid)
		}
	}
	return listeners, nil
}

func isSSHListener(proc string, pid int) bool {
	directory := filepath.Join(proc, strconv.Itoa(pid))
	if !isSSHD(proc, pid) {
		return false
	}
	title := strings.ReplaceAll(read(filepath.Join(directory, "cmdline")), "\x00", " ")
	if strings.HasPrefix(title, sshdTitle) {
		return strings.Contains(title, sshdListening)
	}
	// An older sshd shows its command line, as does a child that has just been made.
	return !isSSHD(proc, parentOf(read(filepath.Join(directory, "status"))))
}

func isSSHD(proc string, pid int) bool {
	return strings.TrimSpace(read(filepath.Join(proc, strconv.Itoa(pid), "comm"))) == sshdName
}

func parentOf(status string) int {
	for _, line := range strings.Split(status, "\n") {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "PPid:" {
			pid, _ := strconv.Atoi(fields[1])
			return pid
		}
	}
	return 0
}

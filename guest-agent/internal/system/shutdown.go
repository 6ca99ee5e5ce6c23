package system

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	killWait     = 500 * time.Millisecond
	shutdownPoll = 10 * time.Millisecond
)

// Shutdown ends all processes, syncs and unmounts the disks, and powers off or restarts. It does not return.
func (Machine) Shutdown(mode Mode, grace time.Duration) {
	kmsg(kmsgCritical, "guest asked for %s", mode)
	_ = syscall.Kill(-1, syscall.SIGTERM)
	// A stopped process handles SIGTERM only after it is continued.
	_ = syscall.Kill(-1, syscall.SIGCONT)
	awaitLonely(grace)
	_ = syscall.Kill(-1, syscall.SIGKILL)
	awaitLonely(killWait)
	syscall.Sync()
	releaseDisks()
	down(mode)
}

// down acts without touching processes or disks. A kernel that cannot power off would halt and hang; a
// restart at least ends a virtual machine whose host does not restart it.
func down(mode Mode) {
	command := syscall.LINUX_REBOOT_CMD_POWER_OFF
	if _, err := os.Stat("/sys/firmware/acpi"); mode == Reboot || err != nil {
		command = syscall.LINUX_REBOOT_CMD_RESTART
	}
	for {
		err := syscall.Reboot(command)
		kmsg(kmsgCritical, "cannot %s: %v", mode, err)
		command = syscall.LINUX_REBOOT_CMD_RESTART
		time.Sleep(time.Second)
	}
}

// PowerOffNow gives up on a guest that cannot be started.
func PowerOffNow() {
	syscall.Sync()
	down(Poweroff)
}

// awaitLonely waits until this is the only process.
func awaitLonely(wait time.Duration) {
	for deadline := time.Now().Add(wait); othersAlive() && time.Now().Before(deadline); {
		time.Sleep(shutdownPoll)
	}
}

// othersAlive looks for processes with their own memory: kernel threads and dead processes have none.
func othersAlive() bool {
	directory, err := os.Open("/proc")
	if err != nil {
		return false
	}
	defer directory.Close()
	names, _ := directory.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err != nil || pid == os.Getpid() {
			continue
		}
		if memory, err := os.ReadFile("/proc/" + name + "/statm"); err == nil && !strings.HasPrefix(string(memory), "0 ") {
			return true
		}
	}
	return false
}

// releaseDisks unmounts what it can, newest mount first, and remounts the rest read-only.
func releaseDisks() {
	mounts := strings.Split(strings.TrimSpace(read("/proc/self/mounts")), "\n")
	for i := len(mounts) - 1; i >= 0; i-- {
		fields := strings.Fields(mounts[i])
		if len(fields) < 3 || !strings.HasPrefix(fields[0], "/dev/") && fields[2] != "overlay" {
			continue
		}
		target := unescapeMount(fields[1])
		if target != "/" && syscall.Unmount(target, 0) == nil {
			continue
		}
		_ = syscall.Mount("", target, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	syscall.Sync()
}

// unescapeMount decodes the kernel's octal escapes for white space and backslashes.
func unescapeMount(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

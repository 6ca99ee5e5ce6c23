package system

import (
	"os"
	"strings"
	"syscall"
	"unsafe"
)

const (
	defaultHostname = "localhost"
	// The usual limits of service managers and container engines.
	openFilesSoft = 16384
	openFilesHard = 1048576
)

// Prepare sets defaults that the kernel leaves open, after the root has been entered.
func Prepare() {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: openFilesSoft, Max: openFilesHard}); err != nil {
		Log("set the limit of open files: %v", err)
	}
	syscall.Umask(0o022)
	// Control-alt-delete must reach us as a signal instead of resetting the guest.
	if err := syscall.Reboot(syscall.LINUX_REBOOT_CMD_CAD_OFF); err != nil {
		Log("take over control-alt-delete: %v", err)
	}
	if err := loopbackUp(); err != nil {
		Log("bring lo up: %v", err)
	}
	hostname := defaultHostname
	if content, err := os.ReadFile(hostnameFile); err == nil && len(strings.TrimSpace(string(content))) > 0 {
		hostname = strings.TrimSpace(string(content))
	}
	if err := syscall.Sethostname([]byte(hostname)); err != nil {
		Log("set host name: %v", err)
	}
}

// interfaceFlags is struct ifreq as SIOCGIFFLAGS and SIOCSIFFLAGS use it.
type interfaceFlags struct {
	name  [syscall.IFNAMSIZ]byte
	flags uint16
	_     [22]byte
}

func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var request interfaceFlags
	copy(request.name[:], "lo")
	for _, step := range []uintptr{syscall.SIOCGIFFLAGS, syscall.SIOCSIFFLAGS} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), step, uintptr(unsafe.Pointer(&request))); errno != 0 {
			return errno
		}
		request.flags |= syscall.IFF_UP
	}
	return nil
}

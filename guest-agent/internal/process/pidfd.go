package process

import (
	"syscall"
	"unsafe"
)

// handle identifies one process for ever; its pid may be reused as soon as it is reaped.
type handle struct {
	pid   int
	start uint64
	fd    int
}

const noFd = -1

// openHandle opens the process that was seen as pid with this start time; ok is false when it is gone. The
// descriptor is opened first: while its process exists the pid is not reused, so /proc then shows that
// process.
func openHandle(pid int, start uint64) (handle, bool) {
	held := handle{pid: pid, start: start, fd: noFd}
	if fd, _, errno := syscall.Syscall(sysPidfdOpen, uintptr(pid), 0, 0); errno == 0 {
		held.fd = int(fd)
	} else if errno == syscall.ESRCH {
		return held, false
	}
	if !held.isSame() {
		held.close()
		return held, false
	}
	return held, true
}

func (h handle) isSame() bool {
	entry, ok := readStat(h.pid)
	return ok && entry.start == h.start
}

// signal reaches this process or none. On a kernel without pidfds the start time is checked first, which is
// the best available.
func (h handle) signal(sig syscall.Signal) {
	if h.fd != noFd {
		_, _, _ = syscall.Syscall6(sysPidfdSendSignal, uintptr(h.fd), uintptr(sig), uintptr(unsafe.Pointer(nil)), 0, 0, 0)
		return
	}
	if h.isSame() {
		_ = syscall.Kill(h.pid, sig)
	}
}

func (h handle) close() {
	if h.fd != noFd {
		_ = syscall.Close(h.fd)
	}
}

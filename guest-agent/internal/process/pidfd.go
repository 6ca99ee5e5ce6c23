package process

import (
	"syscall"
	"unsafe"
)

// handle names one process for good, where its number may be given to another as soon as it is reaped.
type handle struct {
	pid   int
	start uint64
	fd    int
}

const noFd = -1

// openHandle holds the process that the scan saw as pid with this start time; ok is false when that process is gone.
// The descriptor comes first: while its process lives the number is taken, so what /proc then shows is that process.
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

// signal reaches this process or nobody. A kernel that has no such descriptors leaves a look at the start time, which is
// as near as it comes.
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

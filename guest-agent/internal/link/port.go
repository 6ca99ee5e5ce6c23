package link

import (
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// Port is a virtio console port. It has no connections: after the host has left, reads return nothing. Go's
// poller is edge-triggered, so waiting for the next host costs nothing; a level-triggered wait would spin.
type Port struct {
	file *os.File
	raw  syscall.RawConn
	// absent is set once the reader was told that the host has disconnected.
	absent bool
}

// OpenPort opens the port's device node; the kernel allows only one opener.
func OpenPort(path string) (*Port, error) {
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	file := os.NewFile(uintptr(fd), path)
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &Port{file: file, raw: raw, absent: true}, nil
}

// Read returns io.EOF once when the host disconnects; the next Read waits for the next host.
func (p *Port) Read(buf []byte) (int, error) {
	var n int
	var readErr error
	err := p.raw.Read(func(fd uintptr) bool {
		n, readErr = transfer(syscall.SYS_READ, fd, buf)
		switch {
		case readErr == syscall.EAGAIN:
			return false
		case readErr != nil:
			return true
		case n > 0:
			p.absent = false
			return true
		case p.absent:
			return false
		default:
			p.absent = true
			readErr = io.EOF
			return true
		}
	})
	if err != nil {
		return 0, err
	}
	if readErr != nil {
		return 0, readErr
	}
	return n, nil
}

// Write sends all of buf.
func (p *Port) Write(buf []byte) (int, error) {
	var done int
	var writeErr error
	err := p.raw.Write(func(fd uintptr) bool {
		for done < len(buf) {
			n, errno := transfer(syscall.SYS_WRITE, fd, buf[done:])
			if errno == syscall.EAGAIN {
				return false
			}
			if errno != nil {
				writeErr = errno
				return true
			}
			done += n
		}
		return true
	})
	if err == nil {
		err = writeErr
	}
	return done, err
}

// transfer reads or writes without notifying Go's scheduler. The port never blocks, and under emulation
// losing the P in each call over 20 µs would cost more than the call itself.
func transfer(call, fd uintptr, buf []byte) (int, error) {
	if len(buf) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		if errno == 0 {
			return int(n), nil
		}
		if errno != syscall.EINTR {
			return 0, errno
		}
	}
}

// SetDeadline bounds reads and writes under way and to come.
func (p *Port) SetDeadline(t time.Time) error { return p.file.SetDeadline(t) }

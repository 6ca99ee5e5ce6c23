package process

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// With less space than this left, a frame is sent without waiting.
const (
	gatherBytesMin = 16 << 10
	// A terminal buffers 4 KiB, and its other end some more.
	terminalRestMax  = 64 << 10
	terminalRestWait = 10 * time.Millisecond
)

// Output is the read end of a process's standard output or error.
type Output struct {
	file *os.File
	// remaining is how much is left to read once the process has ended; -1 before.
	remaining  int
	isTerminal bool
}

func newOutput(fd int) *Output {
	return &Output{file: os.NewFile(uintptr(fd), "pipe"), remaining: -1}
}

// Read reads what the process wrote. io.EOF when all writers have closed it, or when the process has ended
// and the pipe's content at that time was read, even if another process keeps it open.
func (o *Output) Read(p []byte) (int, error) {
	if o.remaining < 0 {
		n, err := o.file.Read(p)
		if n > 0 || !os.IsTimeout(err) {
			// A terminal returns EIO when nobody holds its other end.
			if errors.Is(err, syscall.EIO) {
				err = io.EOF
			}
			return n, err
		}
		if err := o.file.SetReadDeadline(time.Time{}); err != nil {
			return 0, err
		}
		if o.isTerminal {
			// A terminal's fill level cannot be queried; it is read until it is empty.
			o.remaining = terminalRestMax
		} else {
			o.remaining = o.available()
		}
	}
	if len(p) > o.remaining {
		p = p[:o.remaining]
	}
	if len(p) == 0 {
		return 0, io.EOF
	}
	n := o.readNow(p)
	if n == 0 && o.isTerminal {
		// The last output may still be on its way through the kernel's terminal.
		time.Sleep(terminalRestWait)
		n = o.readNow(p)
	}
	o.remaining -= n
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Gather waits once and adds what has arrived meanwhile, unless p is small. It leaves the end of the output
// to Read. Only once, because with one CPU each look at the pipe takes time from the writing program.
func (o *Output) Gather(p []byte, wait time.Duration) int {
	if o.remaining >= 0 || len(p) < gatherBytesMin {
		return 0
	}
	time.Sleep(wait)
	return o.readNow(p)
}

// finish tells a blocked or later Read that the process has ended.
func (o *Output) finish() { _ = o.file.SetReadDeadline(time.Unix(1, 0)) }

func (o *Output) close() { _ = o.file.Close() }

func (o *Output) available() int {
	var count int32
	o.control(func(fd uintptr) {
		const fionread = 0x541b
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, fionread, uintptr(unsafe.Pointer(&count))); errno != 0 {
			count = 0
		}
	})
	return int(count)
}

// readNow reads without blocking, bypassing the poller.
func (o *Output) readNow(p []byte) int {
	var n int
	o.control(func(fd uintptr) {
		for {
			var err error
			if n, err = syscall.Read(int(fd), p); err != syscall.EINTR {
				break
			}
		}
	})
	if n < 0 {
		n = 0
	}
	return n
}

func (o *Output) control(act func(fd uintptr)) {
	if raw, err := o.file.SyscallConn(); err == nil {
		_ = raw.Control(act)
	}
}

// FinishOutput ends the outputs: call it after Done.
func (p *Process) FinishOutput() {
	for _, output := range []*Output{p.Stdout, p.Stderr} {
		if output != nil {
			output.finish()
		}
	}
}

// streams are the three standard streams of a process before its start.
type streams struct {
	child    [3]uintptr
	opened   []int
	stdin    *os.File
	stdout   *Output
	stderr   *Output
	terminal *os.File
}

// newPipes makes a pipe for each stream, but for standard input that there is none of, and for outputs that go to a file.
func newPipes(withStdin bool, output *os.File) (*streams, error) {
	made := &streams{}
	ours := [3]int{-1, -1, -1}
	for i := range ours {
		if i == 0 && !withStdin {
			fd, err := syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
			if err != nil {
				return nil, err
			}
			made.child[0] = uintptr(fd)
			made.opened = append(made.opened, fd)
			continue
		}
		if i > 0 && output != nil {
			made.child[i] = output.Fd()
			continue
		}
		var ends [2]int
		if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
			made.closeChildEnds()
			for _, fd := range ours {
				if fd >= 0 {
					_ = syscall.Close(fd)
				}
			}
			return nil, err
		}
		// The process reads the first pipe and writes the others.
		theirs := 1
		if i == 0 {
			theirs = 0
		}
		made.child[i] = uintptr(ends[theirs])
		made.opened = append(made.opened, ends[theirs])
		ours[i] = ends[1-theirs]
		_ = syscall.SetNonblock(ours[i], true)
	}
	if ours[0] >= 0 {
		made.stdin = os.NewFile(uintptr(ours[0]), "pipe")
	}
	if output == nil {
		made.stdout, made.stderr = newOutput(ours[1]), newOutput(ours[2])
	}
	return made, nil
}

func (p *streams) closeChildEnds() {
	for _, fd := range p.opened {
		_ = syscall.Close(fd)
	}
	p.opened = nil
}

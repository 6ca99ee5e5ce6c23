package process

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"unsafe"
)

const (
	ptmxPath      = "/dev/ptmx"
	ptsPath       = "/dev/pts/"
	ttyGroup      = 5
	terminalMode  = 0o620
	getPtyNumber  = 0x80045430
	setPtyLock    = 0x40045431
	setWindowSize = 0x5414
)

// Size is the size of a terminal.
type Size struct{ Rows, Columns uint16 }

// newTerminal makes a pseudo terminal. The process gets one end as all its streams and as its controlling
// terminal.
func newTerminal(size Size, owner *account) (*streams, error) {
	ours, err := syscall.Open(ptmxPath, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", ptmxPath, err)
	}
	theirs, err := openOtherEnd(ours, size, owner)
	if err != nil {
		_ = syscall.Close(ours)
		return nil, err
	}
	// Input and output use separate descriptors: each is closed when its side is done.
	input, err := syscall.Dup(ours)
	if err != nil {
		_ = syscall.Close(ours)
		_ = syscall.Close(theirs)
		return nil, err
	}
	syscall.CloseOnExec(input)
	stdin := os.NewFile(uintptr(input), ptmxPath)
	stdout := newOutput(ours)
	stdout.isTerminal = true
	end := uintptr(theirs)
	return &streams{
		child: [3]uintptr{end, end, end}, opened: []int{theirs},
		stdin: stdin, stdout: stdout, terminal: stdout.file,
	}, nil
}

func openOtherEnd(ours int, size Size, owner *account) (int, error) {
	var unlocked, number int32
	if err := ioctl(uintptr(ours), setPtyLock, unsafe.Pointer(&unlocked)); err != nil {
		return 0, fmt.Errorf("unlock a terminal: %w", err)
	}
	if err := ioctl(uintptr(ours), getPtyNumber, unsafe.Pointer(&number)); err != nil {
		return 0, fmt.Errorf("number of a terminal: %w", err)
	}
	if err := resize(uintptr(ours), size); err != nil {
		return 0, err
	}
	path := ptsPath + strconv.Itoa(int(number))
	theirs, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", path, err)
	}
	if os.Getuid() == 0 {
		_ = syscall.Fchown(theirs, int(owner.uid), ttyGroup)
		_ = syscall.Fchmod(theirs, terminalMode)
	}
	return theirs, nil
}

// Resize changes the terminal's size, which sends SIGWINCH; an error when there is no terminal.
func (p *Process) Resize(size Size) error {
	if p.terminal == nil {
		return &InvalidError{Reason: "the command has no terminal"}
	}
	raw, err := p.terminal.SyscallConn()
	if err != nil {
		return err
	}
	var resizeErr error
	if err := raw.Control(func(fd uintptr) { resizeErr = resize(fd, size) }); err != nil {
		return err
	}
	return resizeErr
}

func resize(fd uintptr, size Size) error {
	// struct winsize: rows, columns, and two sizes in pixels.
	window := [4]uint16{size.Rows, size.Columns, 0, 0}
	if err := ioctl(fd, setWindowSize, unsafe.Pointer(&window)); err != nil {
		return fmt.Errorf("resize a terminal: %w", err)
	}
	return nil
}

func ioctl(fd uintptr, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

// HasTerminal reports whether the process has a terminal.
func (p *Process) HasTerminal() bool { return p.terminal != nil }

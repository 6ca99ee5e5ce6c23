package system

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Signals with which CPU and kernel report a program's own faults. Go turns them into a panic or ends the
// program, even if another process sent them (sigqueue), and signal.Notify does not change that.
var faultSignals = []syscall.Signal{
	syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV,
	syscall.SIGSTKFLT, syscall.SIGSYS,
}

// Signals that Go reserves for C libraries and handles in no way. The kernel should not apply their defaults to its first
// process, but Linux 6.1.192 did, on a busy host: "Attempted to kill init! exitcode=0x00000020".
var reservedSignals = []syscall.Signal{32, 33, 34}

// runtimeHandler is Go's handler, the same for all signals; swallowSent jumps to it.
var runtimeHandler uintptr

// swallowSentAddress is the address of swallowSent: a handler that returns at once if a process sent the
// signal, which si_code shows and no process can forge, and otherwise jumps to runtimeHandler.
func swallowSentAddress() uintptr

// kernelAction is the kernel's struct sigaction.
type kernelAction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// swallowSentSignals prevents processes from ending this one by fault signals and reserved ones; its own faults are
// handled as before. Programs that it starts have the defaults.
func swallowSentSignals() error {
	var action kernelAction
	for _, number := range faultSignals {
		if err := signalAction(number, nil, &action); err != nil {
			return err
		}
		if runtimeHandler == 0 {
			runtimeHandler = action.handler
		}
		if action.handler != runtimeHandler {
			continue
		}
		action.handler = swallowSentAddress()
		if err := signalAction(number, &action, nil); err != nil {
			return err
		}
	}
	action.handler = swallowSentAddress()
	for _, number := range reservedSignals {
		if err := signalAction(number, &action, nil); err != nil {
			return err
		}
	}
	return nil
}

func signalAction(number syscall.Signal, next, previous *kernelAction) error {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(number), uintptr(unsafe.Pointer(next)),
		uintptr(unsafe.Pointer(previous)), unsafe.Sizeof(kernelAction{}.mask), 0, 0)
	if errno != 0 {
		return fmt.Errorf("set the handler of signal %d: %w", number, errno)
	}
	return nil
}

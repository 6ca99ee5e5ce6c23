package system

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Signals by which the processor and the kernel tell a program of its own faults. Go makes a panic of them, or ends the
// program, also when another process queued them (sigqueue), and signal.Notify does not change that.
var faultSignals = []syscall.Signal{
	syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV,
	syscall.SIGSTKFLT, syscall.SIGSYS,
}

// runtimeHandler is Go's handler, the same for all signals; swallowSent goes on there.
var runtimeHandler uintptr

// swallowSentAddress is where swallowSent begins: a handler that returns at once when a process sent the signal, which
// its si_code says and no process can forge, and goes on to runtimeHandler when the kernel did.
func swallowSentAddress() uintptr

// kernelAction is the kernel's struct sigaction.
type kernelAction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// swallowFaultSignals keeps processes from ending this one by fault signals; its own faults are handled as before.
func swallowFaultSignals() error {
	for _, number := range faultSignals {
		var action kernelAction
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

package process

import (
	"strconv"
	"strings"
	"syscall"
)

const (
	signalMax    = 64
	realTimeBase = 34
)

// The kernel's signal names on all supported architectures; the index is the number.
const signalNames = "0 HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP " +
	"TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"

// SignalName is the name without SIG; real-time signals are RTMIN+n.
func SignalName(sig syscall.Signal) string {
	names := strings.Fields(signalNames)
	switch number := int(sig); {
	case number > 0 && number < len(names):
		return names[number]
	case number >= realTimeBase && number <= signalMax:
		return "RTMIN+" + strconv.Itoa(number-realTimeBase)
	default:
		return strconv.Itoa(number)
	}
}

// SignalNumber finds a signal by its name without SIG.
func SignalNumber(name string) (syscall.Signal, bool) {
	for number := 1; number <= signalMax; number++ {
		if SignalName(syscall.Signal(number)) == name {
			return syscall.Signal(number), true
		}
	}
	return 0, false
}

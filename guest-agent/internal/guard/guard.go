// Package guard starts goroutines whose panics do not end the agent. In a guest the agent is process 1: an
// unrecovered panic would end it, and the kernel with it. No other package may start goroutines itself (see
// guard_test.go).
package guard

import (
	"runtime/debug"
	"time"
)

// Log logs one line about a failure.
type Log func(format string, args ...interface{})

// How much of a stack fits into a log line; /dev/kmsg accepts about a kilobyte.
const stackBytesMax = 700

// Go runs body in a goroutine. A panic in it is logged and ends only that goroutine; clean-up that others
// depend on belongs in deferred calls of body.
func Go(what string, log Log, body func()) {
	go func() { Try(what, log, body) }()
}

// Try runs body and reports whether it ended without a panic.
func Try(what string, log Log, body func()) (ok bool) {
	defer func() {
		if fault := recover(); fault != nil {
			stack := debug.Stack()
			if len(stack) > stackBytesMax {
				stack = stack[:stackBytesMax]
			}
			log("%s: panic: %v\n%s", what, fault, stack)
		}
	}()
	body()
	return true
}

// After runs body in a goroutine after wait, unless the timer is stopped before.
func After(wait time.Duration, what string, log Log, body func()) *time.Timer {
	return time.AfterFunc(wait, func() { Try(what, log, body) })
}

// Package guard starts goroutines that cannot end the agent. In a guest the agent is process 1: a panic that nobody
// recovers would end it, and the kernel with it. No other package starts a goroutine by itself (see guard_test.go).
package guard

import (
	"runtime/debug"
	"time"
)

// Log takes one line of what went wrong.
type Log func(format string, args ...interface{})

// What a log line can hold of a stack; /dev/kmsg takes about a kilobyte.
const stackBytesMax = 700

// Go runs body in a goroutine. A panic in it is logged and ends that goroutine only; what body owes to others belongs in
// its deferred calls.
func Go(what string, log Log, body func()) {
	go func() { Try(what, log, body) }()
}

// Try runs body here and tells whether it came to its end without a panic.
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

// After runs body in a goroutine once the time has passed, unless the timer is stopped before.
func After(wait time.Duration, what string, log Log, body func()) *time.Timer {
	return time.AfterFunc(wait, func() { Try(what, log, body) })
}

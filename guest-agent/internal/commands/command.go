// Package commands owns the commands that run in this guest. Each has an id, a ring buffer of its last
// output, and an end that is kept until it is requested. Package calls decides what happens to them when the
// host disconnects.
package commands

import (
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"guest-agent/internal/guard"
	"guest-agent/internal/process"
)

const (
	// A killed process that does not exit in this time hangs in the kernel; its command then ends without it.
	killWait = 5 * time.Second
	// Limit of standard input chunks that the process has not read yet.
	stdinPiecesMax = 16
	// Output that follows other output within this gap belongs to a stream and is gathered for this long: a
	// pipe's 64 KiB in that time exceed the link's speed.
	streamingGap = 10 * time.Millisecond
	gatherTime   = 3 * time.Millisecond
	endOfInput   = 0x04
	// How long output is held for a reader that was announced.
	heldWait = 30 * time.Second
)

// End is how a command ended.
type End struct {
	// TimedOut: killed at its time limit.
	TimedOut bool
	// Hangs: it was killed and has still not exited.
	Hangs  bool
	Status syscall.WaitStatus
	// Fault: the agent failed, so the output may be incomplete.
	Fault bool
}

// Command is a process and its recorded state.
type Command struct {
	ID        string
	Argv      []string
	StartedAt time.Time
	// Owned: it outlives the host that started it.
	Owned bool

	process *process.Process
	ring    *ring
	log     guard.Log
	outputs sync.WaitGroup
	ended   chan struct{}
	end     End
	endedAt time.Time
	killed  chan struct{}
	kill    sync.Once

	// held keeps all output until there is a reader; nil: nobody asked for that.
	held      *Reader
	heldTimer *time.Timer
	release   sync.Once

	// told is set when the host has asked for the output or the end.
	told int32

	// faulty is set when a goroutine of this command failed.
	faulty int32

	// feeding is held while passing input on, also while waiting.
	feeding sync.Mutex
	stdin   chan []byte
	stdinMu sync.Mutex
	fed     int64
	isFed   bool
}

func newCommand(id string, owned bool, spec process.Spec, capacity int, log guard.Log) *Command {
	return &Command{
		ID:        id,
		Argv:      spec.Argv,
		StartedAt: time.Now(),
		Owned:     owned,
		ring:      newRing(capacity),
		log:       log,
		ended:     make(chan struct{}),
		killed:    make(chan struct{}),
		stdin:     make(chan []byte, stdinPiecesMax),
	}
}

// run supervises a started process until it has ended; a timeout of 0 means none.
func (c *Command) run(timeout time.Duration) {
	// Reset below if everything succeeds.
	c.end.Fault = true
	defer func() {
		if c.end.Fault {
			c.process.KillTree()
		}
		c.ring.close()
		c.endedAt = time.Now()
		close(c.ended)
		c.process.Close()
	}()
	c.pump(c.process.Stdout, Stdout)
	c.pump(c.process.Stderr, Stderr)
	if c.process.Stdin != nil {
		guard.Go("standard input", c.log, c.feed)
	}
	end := c.await(timeout)
	c.process.FinishOutput()
	c.outputs.Wait()
	end.Fault = atomic.LoadInt32(&c.faulty) != 0
	c.end = end
}

func (c *Command) await(timeout time.Duration) End {
	var late <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		late = timer.C
	}
	end := End{}
	select {
	case <-c.process.Done():
	case <-late:
		end.TimedOut = true
		end.Hangs = !c.killTree()
	case <-c.killed:
		end.Hangs = !c.killTree()
	}
	if !end.Hangs {
		end.Status = c.process.Status()
		// It may have exited by itself just before the kill.
		end.TimedOut = end.TimedOut && end.Status.Signaled() && end.Status.Signal() == syscall.SIGKILL
	}
	return end
}

// killTree reports whether the process has ended.
func (c *Command) killTree() bool {
	c.process.KillTree()
	timer := time.NewTimer(killWait)
	defer timer.Stop()
	select {
	case <-c.process.Done():
		return true
	case <-timer.C:
		return false
	}
}

// pump copies one output into the ring. Output right after other output is gathered briefly: otherwise a
// program that writes small chunks would cost a context switch and a wake-up of the host for each write.
func (c *Command) pump(output *process.Output, stream Stream) {
	if output == nil {
		return
	}
	c.outputs.Add(1)
	guard.Go("output", c.log, func() {
		isDone := false
		defer func() {
			if !isDone {
				atomic.StoreInt32(&c.faulty, 1)
				c.Kill()
			}
			c.outputs.Done()
		}()
		c.move(output, stream)
		isDone = true
	})
}

func (c *Command) move(output *process.Output, stream Stream) {
	buffer := make([]byte, pieceBytesMax)
	var movedAt time.Time
	for {
		n, err := output.Read(buffer)
		if n > 0 && err == nil && time.Since(movedAt) < streamingGap {
			n += output.Gather(buffer[n:], gatherTime)
		}
		if n > 0 {
			c.ring.write(stream, buffer[:n])
			movedAt = time.Now()
		}
		if err != nil {
			return
		}
	}
}

// Kill ends the process and everything it started. It does not wait.
func (c *Command) Kill() { c.kill.Do(func() { close(c.killed) }) }

// Signal sends sig to the process group at once, even if standard input is waiting.
func (c *Command) Signal(sig syscall.Signal) { c.process.Signal(sig) }

// Resize changes the size of its terminal.
func (c *Command) Resize(size process.Size) error { return c.process.Resize(size) }

// Pid is the process's number.
func (c *Command) Pid() int { return c.process.Pid }

// Ended closes when the process has ended and its output is complete.
func (c *Command) Ended() <-chan struct{} { return c.ended }

// End is valid once Ended is closed.
func (c *Command) End() End { return c.end }

// EndedAt is valid once Ended is closed.
func (c *Command) EndedAt() time.Time { return c.endedAt }

// HasTerminal reports whether its streams are a terminal.
func (c *Command) HasTerminal() bool { return c.process.HasTerminal() }

// Bounds tells which of its output is kept.
func (c *Command) Bounds() Bounds { return c.ring.bounds() }

// Read starts reading the output at an offset; false when that is beyond what was written.
func (c *Command) Read(offset int64) (*Reader, bool) {
	c.Told()
	reader, ok := c.ring.reader(offset)
	if ok {
		// Not before there is the other reader.
		c.letGo()
	}
	return reader, ok
}

// letGo ends what hold began.
func (c *Command) letGo() {
	if c.held == nil {
		return
	}
	c.release.Do(func() {
		c.heldTimer.Stop()
		c.held.Close()
	})
}

// hold keeps all output for a first reader that comes soon: the command waits when its ring is full. Call it before
// the process starts.
func (c *Command) hold() {
	c.held, _ = c.ring.reader(0)
	c.heldTimer = guard.After(heldWait, "held output", c.log, c.held.Close)
}

// Told notes that the host asks for the output or the end, so that its place may be needed for others after the end.
func (c *Command) Told() { atomic.StoreInt32(&c.told, 1) }

// isDispensable reports whether it has ended, is not being read, and was told or had time to be.
func (c *Command) isDispensable(now time.Time) bool {
	select {
	case <-c.ended:
	default:
		return false
	}
	if c.ring.hasReaders() {
		return false
	}
	return atomic.LoadInt32(&c.told) != 0 || now.Sub(c.endedAt) > untoldKept
}

// TakesInput reports whether it has standard input that has not been closed.
func (c *Command) TakesInput() bool {
	c.stdinMu.Lock()
	defer c.stdinMu.Unlock()
	return c.process.Stdin != nil && !c.isFed
}

// Fed is how many bytes of standard input were accepted, or wait for the process to read.
func (c *Command) Fed() int64 {
	c.stdinMu.Lock()
	defer c.stdinMu.Unlock()
	return c.fed
}

// Feed passes on standard input; empty data closes it. It waits while the process does not read. False when
// done closed, the command ended or its input was closed before.
func (c *Command) Feed(data []byte, done <-chan struct{}) bool {
	c.feeding.Lock()
	defer c.feeding.Unlock()
	if !c.TakesInput() {
		return false
	}
	// Counted while it waits, too: it belongs to the command, and whoever asks how much was fed must not send it again.
	c.stdinMu.Lock()
	c.fed += int64(len(data))
	c.stdinMu.Unlock()
	select {
	case c.stdin <- data:
		c.stdinMu.Lock()
		defer c.stdinMu.Unlock()
		c.isFed = len(data) == 0
		return true
	case <-c.ended:
	case <-done:
	}
	return false
}

// feed writes standard input; it drops input that the process cannot read any more.
func (c *Command) feed() {
	defer c.process.Stdin.Close()
	var failure error
	for {
		select {
		case data := <-c.stdin:
			if len(data) == 0 {
				c.endInput()
				return
			}
			if failure == nil {
				_, failure = c.process.Stdin.Write(data)
			}
		case <-c.ended:
			return
		}
	}
}

// endInput only affects terminals, whose processes do not notice that we close our end.
func (c *Command) endInput() {
	if c.process.HasTerminal() {
		_, _ = io.WriteString(c.process.Stdin, string(rune(endOfInput)))
	}
}

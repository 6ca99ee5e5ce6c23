package calls

import (
	"sync"
	"syscall"
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/process"
)

const (
	// Standard input that the process has not taken yet, in frames; with this much waiting, the stream is not read.
	stdinFramesMax = 16
	// A killed process that does not end in this time hangs in the kernel; the host is told without it.
	killWait = 5 * time.Second
	// A virtio port takes 32 KiB in one write; with both its headers, a full frame of output is two of them.
	outputBytesMax   = 2*portWriteBytes - yamuxHeaderBytes - link.FrameHeaderBytes
	portWriteBytes   = 32 << 10
	yamuxHeaderBytes = 12
	// Output that follows a frame this soon is part of a stream, and gathered for this long: a pipe's 64 KiB in that time
	// is more than the link carries.
	streamingGap = 10 * time.Millisecond
	gatherTime   = 3 * time.Millisecond
)

// execution is one process and the stream it is served on.
type execution struct {
	call *link.Call
	proc *process.Process

	// over closes when nothing more is to be sent to the process.
	over chan struct{}
	// broken closes when the host has sent what is not a frame, or takes no more output.
	broken     chan struct{}
	breakOnce  sync.Once
	outputs    sync.WaitGroup
	stdinQueue chan []byte
}

func newExecution(call *link.Call, proc *process.Process) *execution {
	return &execution{
		call:       call,
		proc:       proc,
		over:       make(chan struct{}),
		broken:     make(chan struct{}),
		stdinQueue: make(chan []byte, stdinFramesMax),
	}
}

// serve returns when the outcome has been sent or nobody wants it any more. The process has then ended.
func (e *execution) serve(timeout time.Duration) {
	defer close(e.over)
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	if e.call.Succeed(map[string]interface{}{"pid": e.proc.Pid}) != nil {
		e.fail()
	}
	e.outputs.Add(2)
	go e.pump(e.proc.Stdout, link.FrameStdout)
	go e.pump(e.proc.Stderr, link.FrameStderr)
	go e.readFrames()
	if e.proc.Stdin != nil {
		go e.feed()
	}

	isTimeout := false
	select {
	case <-e.proc.Done():
	case <-timer.C:
		isTimeout = true
		e.kill()
	case <-e.call.Ended():
		e.kill()
	case <-e.broken:
		e.kill()
	}
	e.proc.FinishOutput()
	e.awaitOutputs()
	sendOutcome(e.call, e.outcome(isTimeout))
}

func (e *execution) kill() {
	e.proc.KillTree()
	timer := time.NewTimer(killWait)
	defer timer.Stop()
	select {
	case <-e.proc.Done():
	case <-timer.C:
	}
}

// awaitOutputs waits until the host has taken the output, for as long as it listens.
func (e *execution) awaitOutputs() {
	sent := make(chan struct{})
	go func() {
		e.outputs.Wait()
		close(sent)
	}()
	select {
	case <-sent:
	case <-e.call.Ended():
		_ = e.call.Close()
		<-sent
	}
}

func (e *execution) outcome(isTimeout bool) link.Outcome {
	select {
	case <-e.proc.Done():
	default:
		if isTimeout {
			return link.TimedOut()
		}
		return link.Signalled(process.SignalName(syscall.SIGKILL))
	}
	status := e.proc.Status()
	switch {
	case isTimeout && status.Signaled() && status.Signal() == syscall.SIGKILL:
		return link.TimedOut()
	case status.Signaled():
		return link.Signalled(process.SignalName(status.Signal()))
	default:
		return link.Exited(status.ExitStatus())
	}
}

// pump sends one output as fast as the host takes it. What comes right after a frame is gathered for a moment: a program
// that writes little at a time would otherwise cost a switch to us and a wake-up of the host for each write.
func (e *execution) pump(output *process.Output, kind link.FrameType) {
	defer e.outputs.Done()
	frame := make([]byte, link.FrameHeaderBytes+outputBytesMax)
	var sentAt time.Time
	for {
		n, err := output.Read(frame[link.FrameHeaderBytes:])
		if n > 0 && err == nil && time.Since(sentAt) < streamingGap {
			n += output.Gather(frame[link.FrameHeaderBytes+n:], gatherTime)
		}
		if n > 0 {
			whole := frame[:link.FrameHeaderBytes+n]
			link.PutFrameHeader(whole, kind)
			if _, err := e.call.Write(whole); err != nil {
				e.fail()
				return
			}
			sentAt = time.Now()
		}
		if err != nil {
			return
		}
	}
}

// readFrames passes on what the host sends, until the stream ends. A stream's end is seen by Ended; anything that is
// not a frame ends the process.
func (e *execution) readFrames() {
	defer close(e.stdinQueue)
	isOpen := e.proc.Stdin != nil
	for {
		kind, payload, err := link.ReadFrame(e.call)
		if err != nil {
			e.fail()
			return
		}
		switch kind {
		case link.FrameStdin:
			if !isOpen {
				continue
			}
			select {
			case e.stdinQueue <- payload:
				isOpen = len(payload) > 0
			case <-e.over:
				return
			}
		case link.FrameSignal:
			if signal, ok := process.SignalNumber(string(payload)); ok {
				e.proc.Signal(signal)
			}
		default:
			e.fail()
			return
		}
	}
}

// feed writes standard input; what a process that has closed its end does not want is dropped.
func (e *execution) feed() {
	var writeErr error
	for payload := range e.stdinQueue {
		if len(payload) == 0 {
			break
		}
		if writeErr == nil {
			_, writeErr = e.proc.Stdin.Write(payload)
		}
	}
	_ = e.proc.Stdin.Close()
}

func (e *execution) fail() { e.breakOnce.Do(func() { close(e.broken) }) }

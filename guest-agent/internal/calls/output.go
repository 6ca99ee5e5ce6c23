package calls

import (
	"syscall"

	"guest-agent/internal/commands"
	"guest-agent/internal/guard"
	"guest-agent/internal/link"
	"guest-agent/internal/process"
)

const (
	// A virtio port accepts 32 KiB per write; a full frame of output with its headers is exactly two writes.
	outputBytesMax   = 2*portWriteBytes - yamuxHeaderBytes - link.FrameHeaderBytes
	portWriteBytes   = 32 << 10
	yamuxHeaderBytes = 12
)

// serveBound transfers a command's input and output until its outcome was sent or the host has left.
func serveBound(call *link.Call, command *commands.Command, log guard.Log) {
	reader, ok := command.Read(0)
	if !ok {
		call.Fail(link.CodeInternal, "the command's output cannot be read")
		return
	}
	defer reader.Close()
	done := make(chan struct{})
	defer close(done)
	onEnded(call, done, log, command.Kill)
	if call.Succeed(map[string]interface{}{"pid": command.Pid()}) != nil {
		return
	}
	guard.Go("frames of a command", log, func() {
		// An invalid frame ends the command, and so does the end of the stream.
		if !feedFrames(call, command, done) {
			command.Kill()
		}
	})
	sendOutput(call, command, reader)
}

// onEnded calls act when the host has ended the call, and fails writes that wait for it.
func onEnded(call *link.Call, done <-chan struct{}, log guard.Log, act func()) {
	guard.Go("end of a call", log, func() {
		select {
		case <-call.Ended():
			act()
			_ = call.Close()
		case <-done:
		}
	})
}

// feedFrames passes the call's stdin frames to a command until the call or the input ends; false when another
// frame came.
func feedFrames(call *link.Call, command *commands.Command, done <-chan struct{}) bool {
	for {
		kind, payload, err := link.ReadFrame(call)
		if err != nil {
			return false
		}
		if kind != link.FrameStdin {
			return false
		}
		// Input that the command does not read is dropped.
		_ = command.Feed(payload, done)
	}
}

// sendOutput sends the reader's output, then the outcome.
func sendOutput(call *link.Call, command *commands.Command, reader *commands.Reader) {
	frame := make([]byte, link.FrameHeaderBytes+outputBytesMax)
	for {
		output, ok := reader.Read(frame[link.FrameHeaderBytes:], call.Ended())
		if !ok {
			break
		}
		var err error
		if output.Lost > 0 {
			_, err = call.Write(link.OffsetFrame(link.FrameLost, output.Lost))
		} else {
			whole := frame[:link.FrameHeaderBytes+output.N]
			link.PutFrameHeader(whole, link.FrameType(output.Stream))
			_, err = call.Write(whole)
		}
		if err != nil {
			return
		}
		if !command.Owned {
			// Nobody else reads this output.
			reader.Taken(reader.Next())
		}
	}
	sendEnd(call, command)
}

// sendEnd sends the outcome once there is one; after a fault of the agent the stream ends without it.
func sendEnd(call *link.Call, command *commands.Command) {
	select {
	case <-call.Ended():
	case <-command.Ended():
		if end := command.End(); !end.Fault {
			sendOutcome(call, outcomeOf(end))
		}
	}
}

func outcomeOf(end commands.End) link.Outcome {
	switch {
	case end.TimedOut:
		return link.TimedOut()
	case end.Hangs:
		return link.Signalled(process.SignalName(syscall.SIGKILL))
	case end.Status.Signaled():
		return link.Signalled(process.SignalName(end.Status.Signal()))
	default:
		return link.Exited(end.Status.ExitStatus())
	}
}

func sendOutcome(call *link.Call, outcome link.Outcome) {
	if frame, err := link.OutcomeFrame(outcome); err == nil {
		_, _ = call.Write(frame)
	}
}

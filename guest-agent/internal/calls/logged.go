package calls

import (
	"fmt"
	"strings"
	"sync/atomic"

	"guest-agent/internal/commands"
	"guest-agent/internal/guard"
	"guest-agent/internal/link"
	"guest-agent/internal/process"
)

const (
	loggedBytesMax    = 8 << 20
	logDirectoriesMax = 16
	logNameBytesMax   = 128
)

type loggedArguments struct {
	startArguments
	LogName        string   `json:"log_name"`
	LogDirectories []string `json:"log_directories"`
	OutputBytesMax int64    `json:"output_bytes_max"`
	Detached       bool     `json:"detached"`
}

// startLogged runs a command whose output goes to a file. It lives as long as this call, unless it is `detached` or
// the host lets go of it. When it ends before that, the call sends the beginning of the file and removes it if that
// was all.
func (a *Agent) startLogged(call *link.Call) {
	var arguments loggedArguments
	if !call.Arguments(&arguments) {
		return
	}
	// The host has the only time limit, because the command may go on after it.
	arguments.Owned, arguments.TimeoutMs = true, 0
	reason := arguments.startArguments.check()
	if reason == "" {
		reason = arguments.check()
	}
	if reason != "" {
		call.Fail(link.CodeInvalid, reason)
		return
	}
	argv, env, err := readSpec(call, arguments.startArguments)
	if err != nil {
		call.Fail(link.CodeInvalid, err.Error())
		return
	}
	log, err := commands.OpenLog(arguments.LogName, arguments.LogDirectories)
	if err != nil {
		call.Fail(link.CodeInvalid, err.Error())
		return
	}
	defer log.Close()
	command, err := a.commands.Start(commands.Request{
		ID:   arguments.Command,
		Spec: process.Spec{Argv: argv, Env: env, Cwd: arguments.Cwd, User: arguments.User, Output: log.File()},
	})
	if err != nil {
		log.Remove()
		refuseStart(call, err, true)
		return
	}
	started := map[string]interface{}{"pid": command.Pid(), "log": log.Path()}
	if arguments.Detached {
		a.commands.Release(command)
		_ = call.Succeed(started)
		return
	}
	isReleased := false
	defer func() {
		if isReleased {
			a.commands.Release(command)
			return
		}
		// However the call ends, the command ends with it, and before the link is closed.
		a.commands.Drop(command)
		<-command.Ended()
	}()
	if call.Succeed(started) != nil {
		log.Remove()
		return
	}
	isReleased = serveLogged(call, command, log, arguments.OutputBytesMax, a.log)
}

func (l *loggedArguments) check() string {
	switch {
	case l.HasStdin || l.Terminal != nil:
		return "a command with a log has neither standard input nor a terminal"
	case l.LogName == "" || len(l.LogName) > logNameBytesMax || strings.HasPrefix(l.LogName, ".") || strings.ContainsAny(l.LogName, "/\x00"):
		return fmt.Sprintf("log_name must be the name of a file, with at most %d bytes and no leading dot", logNameBytesMax)
	case len(l.LogDirectories) < 1 || len(l.LogDirectories) > logDirectoriesMax:
		return fmt.Sprintf("log_directories must be 1 to %d", logDirectoriesMax)
	case l.OutputBytesMax < 0 || l.OutputBytesMax > loggedBytesMax:
		return fmt.Sprintf("output_bytes_max must be at most %d", loggedBytesMax)
	}
	for _, directory := range l.LogDirectories {
		if !strings.HasPrefix(directory, "/") || strings.Contains(directory, "\x00") {
			return "log_directories must be absolute"
		}
	}
	return ""
}

// serveLogged waits for the command's end, or for the host to let go of it, and sends the output. It reports whether
// the command goes on.
func serveLogged(call *link.Call, command *commands.Command, log *commands.Log, bytesMax int64, faults guard.Log) bool {
	done := make(chan struct{})
	defer close(done)
	// The host ends the call as soon as it has its answer.
	var isReleased atomic.Bool
	kill := func() {
		if !isReleased.Load() {
			command.Kill()
		}
	}
	onEnded(call, done, faults, kill)
	letGo := make(chan struct{})
	guard.Go("frames of a command with a log", faults, func() {
		if kind, _, err := link.ReadFrame(call); err == nil && kind == link.FrameLetGo {
			close(letGo)
			return
		}
		// An invalid frame ends the command, and so does the end of the stream.
		kill()
	})
	select {
	case <-letGo:
		if !isEnded(command) {
			isReleased.Store(true)
			sendLog(call, log, bytesMax)
			sendLoggedOutcome(call, link.Running(), log.Standing(), false)
			return true
		}
	case <-command.Ended():
	}
	select {
	case <-call.Ended():
		log.Remove()
		return false
	default:
	}
	if end := command.End(); !end.Fault {
		sendLog(call, log, bytesMax)
		standing, isFull := log.Settle(bytesMax)
		sendLoggedOutcome(call, outcomeOf(end), standing, isFull)
	}
	return false
}

func isEnded(command *commands.Command) bool {
	select {
	case <-command.Ended():
		return true
	default:
		return false
	}
}

func sendLog(call *link.Call, log *commands.Log, bytesMax int64) {
	frame := make([]byte, link.FrameHeaderBytes+outputBytesMax)
	for offset := int64(0); offset < bytesMax; {
		part := frame[link.FrameHeaderBytes:]
		if left := bytesMax - offset; int64(len(part)) > left {
			part = part[:left]
		}
		n, _ := log.File().ReadAt(part, offset)
		if n == 0 {
			return
		}
		whole := frame[:link.FrameHeaderBytes+n]
		link.PutFrameHeader(whole, link.FrameStdout)
		if _, err := call.Write(whole); err != nil {
			return
		}
		offset += int64(n)
	}
}

func sendLoggedOutcome(call *link.Call, outcome link.Outcome, standing commands.Standing, isFull bool) {
	frame, err := link.OutcomeFrame(struct {
		link.Outcome
		Log    commands.Standing `json:"log"`
		IsFull bool              `json:"is_full"`
	}{outcome, standing, isFull})
	if err == nil {
		_, _ = call.Write(frame)
	}
}

package calls

import (
	"encoding/json"

	"guest-agent/internal/commands"
	"guest-agent/internal/guard"
	"guest-agent/internal/link"
	"guest-agent/internal/process"
)

const (
	// The length to which lists cut a program's name.
	programBytesMax = 64
	// How much JSON a list has of one command's arguments: with those of all commands it must fit into a line.
	wordsBytesMax = 256
)

// command finds the command named in the call's arguments; if there is none, it refuses the call and returns
// nil.
func (a *Agent) command(call *link.Call, id string) *commands.Command {
	command := a.commands.Find(id)
	if command == nil {
		call.Fail(link.CodeNotFound, "no such command: "+id)
	}
	return command
}

// attach sends the output from an offset on, as it comes, and then the outcome. It ends with its stream, but
// the command continues. Output that the host has not acknowledged is kept for the next attach.
func (a *Agent) attach(call *link.Call) {
	var arguments struct {
		Command string `json:"command"`
		Offset  int64  `json:"offset"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	command := a.command(call, arguments.Command)
	if command == nil {
		return
	}
	reader, ok := command.Read(arguments.Offset)
	if !ok {
		call.Fail(link.CodeInvalid, "offset is ahead of the command's output")
		return
	}
	defer reader.Close()
	done := make(chan struct{})
	defer close(done)
	onEnded(call, done, a.log, func() {})
	answer := map[string]interface{}{
		"pid":           command.Pid(),
		"stdin_offset":  command.Fed(),
		"first_offset":  reader.From.First,
		"next_offset":   reader.From.Next,
		"stdout_offset": reader.From.Stdout,
		"stderr_offset": reader.From.Stderr,
	}
	if call.Succeed(answer) != nil {
		return
	}
	guard.Go("frames of an attachment", a.log, func() {
		if !readTaken(call, reader) {
			_ = call.Close()
		}
	})
	sendOutput(call, command, reader)
}

// readTaken records the host's acknowledgements until the stream ends; false when another frame came.
func readTaken(call *link.Call, reader *commands.Reader) bool {
	for {
		kind, payload, err := link.ReadFrame(call)
		if err != nil {
			return true
		}
		offset, ok := link.Number(payload)
		if kind != link.FrameTaken || !ok {
			return false
		}
		reader.Taken(offset)
	}
}

// stdin passes on standard input, on its own stream so that nothing else waits behind it.
func (a *Agent) stdin(call *link.Call) {
	var arguments struct {
		Command string `json:"command"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	command := a.command(call, arguments.Command)
	if command == nil {
		return
	}
	if !command.TakesInput() {
		call.Fail(link.CodeConflict, "the command takes no standard input")
		return
	}
	if call.Succeed(map[string]interface{}{"stdin_offset": command.Fed()}) != nil {
		return
	}
	// Input already sent belongs to the command, even if the stream has ended meanwhile.
	feedFrames(call, command, nil)
}

// wait sends the outcome when the command has ended, without its output.
func (a *Agent) wait(call *link.Call) {
	var arguments struct {
		Command string `json:"command"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	command := a.command(call, arguments.Command)
	if command == nil {
		return
	}
	command.Told()
	if call.Succeed(nil) != nil {
		return
	}
	sendEnd(call, command)
}

// signal is delivered at once, even if the command has unread input.
func (a *Agent) signal(call *link.Call) {
	var arguments struct {
		Command string `json:"command"`
		Signal  string `json:"signal"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	command := a.command(call, arguments.Command)
	if command == nil {
		return
	}
	number, ok := process.SignalNumber(arguments.Signal)
	if !ok {
		call.Fail(link.CodeInvalid, "no such signal: "+arguments.Signal)
		return
	}
	select {
	case <-command.Ended():
		call.Fail(link.CodeConflict, "the command has ended")
		return
	default:
	}
	command.Signal(number)
	_ = call.Succeed(nil)
}

func (a *Agent) resize(call *link.Call) {
	var arguments struct {
		Command string `json:"command"`
		terminalSize
	}
	if !call.Arguments(&arguments) {
		return
	}
	command := a.command(call, arguments.Command)
	if command == nil {
		return
	}
	if err := command.Resize(*arguments.size()); err != nil {
		call.Fail(link.CodeConflict, err.Error())
		return
	}
	_ = call.Succeed(nil)
}

func (a *Agent) list(call *link.Call) {
	listed := []map[string]interface{}{}
	for _, command := range a.commands.Owned() {
		listed = append(listed, entryOf(command))
	}
	_ = call.Succeed(map[string]interface{}{"commands": listed})
}

func entryOf(command *commands.Command) map[string]interface{} {
	// Asked before the bounds: those of a command that has ended are final.
	var outcome, endedMs interface{}
	select {
	case <-command.Ended():
		command.Told()
		endedMs = command.EndedAt().UnixNano() / 1e6
		if end := command.End(); end.Fault {
			outcome = map[string]string{"outcome": "unknown"}
		} else {
			outcome = outcomeOf(end)
		}
	default:
	}
	bounds := command.Bounds()
	program := command.Argv[0]
	if len(program) > programBytesMax {
		program = program[:programBytesMax]
	}
	return map[string]interface{}{
		"command":      command.ID,
		"program":      program,
		"words":        firstWords(command.Argv),
		"argc":         len(command.Argv),
		"pid":          command.Pid(),
		"terminal":     command.HasTerminal(),
		"started_ms":   command.StartedAt.UnixNano() / 1e6,
		"ended_ms":     endedMs,
		"first_offset": bounds.First,
		"next_offset":  bounds.Next,
		"stdout_bytes": bounds.Stdout,
		"stderr_bytes": bounds.Stderr,
		"outcome":      outcome,
	}
}

// firstWords are the arguments, or as many of the first whole ones as fit into a list's entry.
func firstWords(argv []string) []string {
	words := []string{}
	left := wordsBytesMax
	for _, word := range argv {
		if len(word) > left {
			break
		}
		encoded, err := json.Marshal(word)
		if left -= len(encoded) + 1; err != nil || left < 0 {
			break
		}
		words = append(words, word)
	}
	return words
}

// forget kills a command and everything it started, if it still runs, and drops its output.
func (a *Agent) forget(call *link.Call) {
	var arguments struct {
		Command string `json:"command"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	if command := a.command(call, arguments.Command); command != nil {
		a.commands.Drop(command)
		select {
		case <-command.Ended():
		case <-call.Ended():
		}
		_ = call.Succeed(nil)
	}
}

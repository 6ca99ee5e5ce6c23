package userdata

import (
	"fmt"
	"os"
	"strings"
	"time"

	"guest-agent/internal/commands"
	"guest-agent/internal/process"
)

const (
	// How much of a program's last output is searched for its last line.
	tailBytes   = 512
	outputPiece = 32 << 10
	commandID   = "flotilla-user-data"
)

// run runs a program as root with its output in the log. What it leaves running goes on.
func (w *worker) run(argv []string, env map[string]string) error {
	limit := time.Until(w.until)
	command, err := w.options.Commands.Start(commands.Request{
		ID:      commandID,
		Spec:    process.Spec{Argv: argv, Env: env},
		Timeout: limit,
	})
	if err != nil {
		return err
	}
	// Has no effect on what the program leaves behind when it ends by itself.
	defer w.options.Commands.Drop(command)
	last := w.copyOutput(command)
	<-command.Ended()
	return failureOf(command.End(), last)
}

func failureOf(end commands.End, last string) error {
	reason := ""
	switch {
	case end.TimedOut || end.Hangs:
		reason = fmt.Sprintf("killed: user data has taken over %s", timeMax)
	case end.Fault:
		reason = "the guest agent failed"
	case end.Status.Signaled():
		reason = "killed by signal " + process.SignalName(end.Status.Signal())
	case end.Status.ExitStatus() != 0:
		reason = fmt.Sprintf("exit code %d", end.Status.ExitStatus())
	default:
		return nil
	}
	if last != "" {
		reason += ": " + last
	}
	return fmt.Errorf("%s", reason)
}

// copyOutput copies a program's output into the log until it ends, and returns its last line: of standard error,
// else of standard output.
func (w *worker) copyOutput(command *commands.Command) string {
	reader, ok := command.Read(0)
	if !ok {
		return ""
	}
	defer reader.Close()
	piece := make([]byte, outputPiece)
	tails := map[commands.Stream][]byte{}
	for {
		output, ok := reader.Read(piece, nil)
		if !ok {
			break
		}
		w.log.write(piece[:output.N])
		reader.Taken(reader.Next())
		tail := append(tails[output.Stream], piece[:output.N]...)
		if len(tail) > tailBytes {
			tail = append([]byte{}, tail[len(tail)-tailBytes:]...)
		}
		tails[output.Stream] = tail
	}
	if line := lastLine(tails[commands.Stderr]); line != "" {
		return line
	}
	return lastLine(tails[commands.Stdout])
}

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

func (w *worker) runScript(name, text string) error {
	path := w.path(stateDirectory + "/" + name)
	if err := replaceFile(path, []byte(text), 0o700, nil); err != nil {
		return err
	}
	defer os.Remove(path)
	return w.run([]string{path}, nil)
}

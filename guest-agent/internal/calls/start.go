package calls

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"guest-agent/internal/commands"
	"guest-agent/internal/link"
	"guest-agent/internal/process"
)

const (
	timeoutMsMax      = int64(366 * 24 * time.Hour / time.Millisecond)
	commandIDBytesMax = 64
	// The kernel's limit of arguments and environment, independent of other limits: three quarters of its stack
	// limit of 8 MiB.
	specBytesMax = 6 << 20
	specWait     = 30 * time.Second
)

type startArguments struct {
	Command     string        `json:"command"`
	Argc        int           `json:"argc"`
	SpecBytes   int           `json:"spec_bytes"`
	Cwd         string        `json:"cwd"`
	User        string        `json:"user"`
	TimeoutMs   int64         `json:"timeout_ms"`
	HasStdin    bool          `json:"has_stdin"`
	Owned       bool          `json:"owned"`
	BufferBytes int           `json:"buffer_bytes"`
	Held        bool          `json:"held"`
	Terminal    *terminalSize `json:"terminal"`
}

type terminalSize struct {
	Rows    uint16 `json:"rows"`
	Columns uint16 `json:"columns"`
}

func (t *terminalSize) size() *process.Size {
	if t == nil {
		return nil
	}
	return &process.Size{Rows: t.Rows, Columns: t.Columns}
}

// start runs a command. Unless it is `owned`, it lives as long as this call, which transfers its input and
// output.
func (a *Agent) start(call *link.Call) {
	var arguments startArguments
	if !call.Arguments(&arguments) {
		return
	}
	if reason := arguments.check(); reason != "" {
		call.Fail(link.CodeInvalid, reason)
		return
	}
	argv, env, err := readSpec(call, arguments)
	if err != nil {
		call.Fail(link.CodeInvalid, err.Error())
		return
	}
	command, err := a.commands.Start(commands.Request{
		ID:    arguments.Command,
		Owned: arguments.Owned,
		Spec: process.Spec{
			Argv: argv, Env: env, Cwd: arguments.Cwd, User: arguments.User,
			Stdin: arguments.HasStdin, Terminal: arguments.Terminal.size(),
		},
		Timeout:     time.Duration(arguments.TimeoutMs) * time.Millisecond,
		BufferBytes: arguments.BufferBytes,
		Held:        arguments.Held && arguments.Owned,
	})
	if err != nil {
		refuseStart(call, err, arguments.Owned)
		return
	}
	if arguments.Owned {
		_ = call.Succeed(map[string]interface{}{"pid": command.Pid()})
		return
	}
	// However the call ends, the command ends with it, and before the link is closed.
	defer func() {
		a.commands.Drop(command)
		<-command.Ended()
	}()
	serveBound(call, command, a.log)
}

func (s *startArguments) check() string {
	switch {
	case !isCommandID(s.Command):
		return "command must be 1 to 64 letters, digits, hyphens and underscores"
	case s.TimeoutMs < 0 || s.TimeoutMs > timeoutMsMax || s.TimeoutMs == 0 && !s.Owned:
		return "timeout_ms must be between 1 and a year"
	case s.SpecBytes > specBytesMax:
		return fmt.Sprintf("the arguments and the environment are larger than the guest's kernel takes: %d bytes", s.SpecBytes)
	case s.SpecBytes < 1 || s.Argc < 1:
		return "argv must name a program"
	case s.BufferBytes < 0 || s.BufferBytes > commands.BufferBytesMax:
		return fmt.Sprintf("buffer_bytes must be at most %d", commands.BufferBytesMax)
	}
	return ""
}

func isCommandID(id string) bool {
	return id != "" && len(id) <= commandIDBytesMax && consistsOf(id, func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	})
}

// readSpec reads the arguments and then NAME=VALUE, each ended by a NUL byte, as the kernel takes them.
func readSpec(call *link.Call, arguments startArguments) (argv []string, env map[string]string, err error) {
	content := make([]byte, arguments.SpecBytes)
	call.SetReadDeadline(time.Now().Add(specWait))
	defer call.SetReadDeadline(time.Time{})
	if _, err := io.ReadFull(call, content); err != nil {
		return nil, nil, fmt.Errorf("the arguments did not arrive: %w", err)
	}
	if content[len(content)-1] != 0 {
		return nil, nil, fmt.Errorf("the arguments do not end with a NUL byte")
	}
	parts := bytes.Split(content[:len(content)-1], []byte{0})
	if len(parts) < arguments.Argc {
		return nil, nil, fmt.Errorf("%d arguments were announced and %d arrived", arguments.Argc, len(parts))
	}
	env = map[string]string{}
	for i, part := range parts {
		if i < arguments.Argc {
			argv = append(argv, string(part))
			continue
		}
		name, value, ok := strings.Cut(string(part), "=")
		if !ok || name == "" {
			return nil, nil, fmt.Errorf("not an environment variable: %s", part)
		}
		env[name] = value
	}
	return argv, env, nil
}

func refuseStart(call *link.Call, err error, isOwned bool) {
	switch failure := err.(type) {
	case *process.InvalidError:
		call.Fail(link.CodeInvalid, failure.Reason)
	case *process.NotRunnableError:
		if isOwned {
			call.FailWith(link.CodeInvalid, failure.Reason, map[string]interface{}{"exit_code": failure.ExitCode})
		} else {
			neverRan(call, failure)
		}
	default:
		switch err {
		case commands.ErrTaken:
			call.Fail(link.CodeConflict, err.Error())
		case commands.ErrExhausted:
			call.Fail(link.CodeExhausted, err.Error())
		default:
			call.Fail(link.CodeInternal, "cannot start a process: "+err.Error())
		}
	}
}

// neverRan reports a program that cannot be found or run in the way a shell does.
func neverRan(call *link.Call, failure *process.NotRunnableError) {
	if call.Succeed(map[string]interface{}{"pid": 0}) != nil {
		return
	}
	if _, err := call.Write(link.Frame(link.FrameStderr, []byte(failure.Reason+"\n"))); err != nil {
		return
	}
	sendOutcome(call, link.Exited(failure.ExitCode))
}

package calls

import (
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/process"
)

const timeoutMsMax = int64(366 * 24 * time.Hour / time.Millisecond)

type execArguments struct {
	Argv      []string          `json:"argv"`
	Env       map[string]string `json:"env"`
	Cwd       string            `json:"cwd"`
	User      string            `json:"user"`
	TimeoutMs int64             `json:"timeout_ms"`
	HasStdin  bool              `json:"has_stdin"`
}

func (a *Agent) exec(call *link.Call) {
	var arguments execArguments
	if !call.Arguments(&arguments) {
		return
	}
	if arguments.TimeoutMs < 1 || arguments.TimeoutMs > timeoutMsMax {
		call.Fail(link.CodeInvalid, "timeout_ms must be between 1 and a year")
		return
	}
	proc, err := a.starter.Start(process.Spec{
		Argv:  arguments.Argv,
		Env:   arguments.Env,
		Cwd:   arguments.Cwd,
		User:  arguments.User,
		Stdin: arguments.HasStdin,
	})
	switch failure := err.(type) {
	case nil:
		defer proc.Close()
		newExecution(call, proc).serve(time.Duration(arguments.TimeoutMs) * time.Millisecond)
	case *process.InvalidError:
		call.Fail(link.CodeInvalid, failure.Reason)
	case *process.NotRunnableError:
		neverRan(call, failure)
	default:
		call.Fail(link.CodeInternal, "cannot start a process: "+err.Error())
	}
}

// neverRan tells of a program that cannot be found or run in the way a shell would.
func neverRan(call *link.Call, failure *process.NotRunnableError) {
	if call.Succeed(map[string]interface{}{"pid": 0}) != nil {
		return
	}
	if _, err := call.Write(link.Frame(link.FrameStderr, []byte(failure.Reason+"\n"))); err != nil {
		return
	}
	sendOutcome(call, link.Exited(failure.ExitCode))
}

func sendOutcome(call *link.Call, outcome link.Outcome) {
	if frame, err := link.OutcomeFrame(outcome); err == nil {
		_, _ = call.Write(frame)
	}
}

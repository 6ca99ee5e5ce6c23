// Package process runs programs for the host and can kill everything that they started. It knows nothing
// about the link.
package process

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

// Spec describes what to run.
type Spec struct {
	// Argv is the program and its arguments; the program is looked up in the PATH of the process's environment.
	Argv []string
	// Env is added to the default environment.
	Env map[string]string
	// Cwd is an absolute directory; empty means the user's home, or / where there is none.
	Cwd string
	// User is a name or a number; empty means root.
	User string
	// Stdin gives the process a pipe; otherwise it reads /dev/null.
	Stdin bool
	// Output is a file that both outputs go to instead of pipes; Stdout and Stderr are then nil.
	Output *os.File
	// Terminal gives the process a terminal of this size for all three streams; all its output is then standard
	// output.
	Terminal *Size
}

// InvalidError is a Spec that is impossible in this guest: no such user, no such directory.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return e.Reason }

// NotRunnableError is a program that cannot be found (127) or run (126).
type NotRunnableError struct {
	ExitCode int
	Reason   string
}

func (e *NotRunnableError) Error() string { return e.Reason }

// Process is a started program: the leader of its own session and process group.
type Process struct {
	Pid int
	// Stdin is nil unless the Spec requested it. Writes fail with EPIPE once the process has closed its end.
	Stdin  *os.File
	Stdout *Output
	Stderr *Output

	done    chan struct{}
	status  syscall.WaitStatus
	reaper  *Reaper
	cgroups *Cgroups
	cgroup  *cgroup
	// terminal is the agent's end; nil without a terminal.
	terminal *os.File
}

// Done closes when the process itself has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Status is valid once Done is closed.
func (p *Process) Status() syscall.WaitStatus { return p.status }

// Signal sends sig to the process group; no effect after the process has ended.
func (p *Process) Signal(sig syscall.Signal) {
	p.reaper.whileAlive(p.Pid, func() { _ = syscall.Kill(-p.Pid, sig) })
}

// Close frees the pipes and the cgroup.
func (p *Process) Close() {
	if p.Stdin != nil {
		_ = p.Stdin.Close()
	}
	for _, output := range []*Output{p.Stdout, p.Stderr} {
		if output != nil {
			output.close()
		}
	}
	if p.cgroup != nil {
		p.cgroups.remove(p.cgroup)
	}
}

// A script that another process holds open for writing fails with ETXTBSY until that process has finished
// forking.
const (
	busyTries = 10
	busyWait  = 20 * time.Millisecond
)

// Starter starts processes.
type Starter struct {
	Reaper *Reaper
	// Cgroups is nil if the kernel has none; descendants are then found by a mark.
	Cgroups *Cgroups
	// unmarked is set once the kernel has refused to mark a process's descendants.
	unmarked int32
}

// Start runs spec. Errors other than InvalidError and NotRunnableError mean that the guest lacks a resource.
func (s *Starter) Start(spec Spec) (*Process, error) {
	account, err := lookUpAccount(spec.User)
	if err != nil {
		return nil, err
	}
	cwd, err := workingDirectory(spec.Cwd, account)
	if err != nil {
		return nil, err
	}
	env, path, err := environment(spec.Env, account)
	if err != nil {
		return nil, err
	}
	program, err := lookUpProgram(spec.Argv, path, cwd)
	if err != nil {
		return nil, err
	}
	streams, err := newStreams(spec, account)
	if err != nil {
		return nil, err
	}
	defer streams.closeChildEnds()
	process := &Process{
		Stdin: streams.stdin, Stdout: streams.stdout, Stderr: streams.stderr, terminal: streams.terminal,
		done: make(chan struct{}), reaper: s.Reaper, cgroups: s.Cgroups,
	}
	attributes := &syscall.ProcAttr{Dir: cwd, Env: env, Files: streams.child[:], Sys: &syscall.SysProcAttr{
		Setsid:     true,
		Setctty:    spec.Terminal != nil,
		Credential: account.credential(),
	}}
	if s.Cgroups != nil {
		// Without a cgroup, for example after cgroup2 was unmounted, the mark is used.
		process.cgroup, _ = s.Cgroups.create()
	}
	if err := s.launch(process, program, spec.Argv, attributes); err != nil {
		process.Close()
		return nil, runError(spec.Argv[0], err)
	}
	return process, nil
}

func newStreams(spec Spec, owner *account) (*streams, error) {
	if spec.Terminal != nil {
		return newTerminal(*spec.Terminal, owner)
	}
	return newPipes(spec.Stdin, spec.Output)
}

func (s *Starter) launch(process *Process, program string, argv []string, attributes *syscall.ProcAttr) error {
	if process.cgroup != nil {
		err := s.launchInCgroup(process, program, argv, attributes)
		if !isCgroupRefusal(err) {
			return err
		}
		// The guest's user may have changed the cgroups; the mark does not need them.
		s.Cgroups.remove(process.cgroup)
		process.cgroup = nil
		leaveCgroup(attributes.Sys)
	}
	for try := 1; ; try++ {
		attributes.Sys.Cloneflags = 0
		if atomic.LoadInt32(&s.unmarked) == 0 {
			attributes.Sys.Cloneflags = markFlags
		}
		err := s.Reaper.start(process, func() (int, error) { return syscall.ForkExec(program, argv, attributes) })
		switch {
		case err != nil && attributes.Sys.Cloneflags != 0 && isMarkRefusal(err):
			// The error may come from the program itself; a second attempt without the mark tells. ENOSPC is
			// temporary.
			isLasting := err != syscall.ENOSPC
			attributes.Sys.Cloneflags = 0
			err = s.Reaper.start(process, func() (int, error) { return syscall.ForkExec(program, argv, attributes) })
			if err == nil && isLasting {
				atomic.StoreInt32(&s.unmarked, 1)
			}
			return err
		case err == syscall.ETXTBSY && try < busyTries:
			time.Sleep(busyWait)
		default:
			return err
		}
	}
}

// launchInCgroup needs no mark. On a kernel that cannot start a process in a cgroup, it is moved there once
// it runs.
func (s *Starter) launchInCgroup(process *Process, program string, argv []string, attributes *syscall.ProcAttr) error {
	process.cgroup.enter(attributes.Sys)
	for try := 1; ; try++ {
		err := s.Reaper.start(process, func() (int, error) { return syscall.ForkExec(program, argv, attributes) })
		if err == syscall.ETXTBSY && try < busyTries {
			time.Sleep(busyWait)
			continue
		}
		if err == nil && !entersAtStart {
			err = process.cgroup.add(process.Pid)
		}
		return err
	}
}

func runError(name string, err error) error {
	switch err {
	case syscall.ENOENT, syscall.ENOTDIR, syscall.ELOOP:
		return &NotRunnableError{ExitCode: 127, Reason: name + ": not found, or its interpreter is not"}
	case syscall.EACCES, syscall.EPERM:
		return &NotRunnableError{ExitCode: 126, Reason: name + ": permission denied"}
	case syscall.E2BIG:
		return &InvalidError{Reason: tooLarge()}
	case syscall.ENOEXEC, syscall.ETXTBSY, syscall.EISDIR, syscall.EINVAL, syscall.ELIBBAD:
		return &NotRunnableError{ExitCode: 126, Reason: name + ": " + err.Error()}
	}
	return err
}

const (
	wordBytesMax = 131071
	// What the kernel takes in all is a quarter of the stack's limit, and never more than this.
	wordsBytesMax = 6 << 20
)

func tooLarge() string {
	most := uint64(wordsBytesMax)
	var stack syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_STACK, &stack); err == nil && stack.Cur/4 < most {
		most = stack.Cur / 4
	}
	return fmt.Sprintf("the arguments and the environment are larger than the guest's kernel takes: %d bytes in all, "+
		"with 8 for each, and %d in one", most, wordBytesMax)
}

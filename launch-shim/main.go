// Command launch-shim starts one VMM with only the host access that it needs, and stays its parent to report
// how it ended. The daemon may exit and return meanwhile.
//
// It reads a Spec, one line of JSON, from standard input and starts itself again (confine.go) in the
// namespaces of the spec's jail. It writes one line, `{"pid":N}`, to standard output: the process that will
// become the VMM. That process prepares everything, gives up its rights, and waits for one more byte on
// standard input. The daemon records the pid and then sends the byte; the process becomes the VMM. At end of
// input it exits instead. So no VMM runs without a record, whenever the daemon dies.
//
// The shim must never read anything that the VMM can write.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// confineArgument selects the second stage.
const confineArgument = "confine"

// exitTrouble is the exit code when the VMM could not be started. It differs from QEMU's own, which is 1.
const exitTrouble = 125

// specFD is the descriptor from which the second stage reads the spec.
const specFD = 3

// firstTapFD is the descriptor of the first tap device, in the second stage and in the program.
const firstTapFD = 4

func main() {
	// Parent-death signals and capabilities belong to a thread.
	runtime.LockOSThread()
	if len(os.Args) == 2 && os.Args[1] == confineArgument {
		fmt.Fprintf(os.Stderr, "launch: %v\n", confine())
		os.Exit(exitTrouble)
	}
	code, err := supervise()
	if err != nil {
		fmt.Fprintf(os.Stderr, "launch: %v\n", err)
		code = exitTrouble
	}
	os.Exit(code)
}

// supervise starts the second stage, waits for the VMM and writes down how it ended. It returns the exit
// code.
func supervise() (int, error) {
	line, err := readLine(os.Stdin)
	if err != nil {
		return 0, fmt.Errorf("read the specification: %w", err)
	}
	spec, err := parseSpec(line)
	if err != nil {
		return 0, fmt.Errorf("the specification: %w", err)
	}
	command, err := start(spec, line)
	if err != nil {
		return 0, err
	}
	// If the daemon is gone, the second stage sees end of input and exits.
	fmt.Fprintf(os.Stdout, "{\"pid\":%d}\n", command.Process.Pid)
	detach()
	err = command.Wait()
	status, ok := command.ProcessState.Sys().(syscall.WaitStatus)
	if !ok {
		return 0, fmt.Errorf("wait for the VMM: %w", err)
	}
	return codeOf(status), writeStatus(spec.StatusFile, status)
}

func start(spec *Spec, line []byte) (*exec.Cmd, error) {
	taps, err := openTaps(spec.Taps)
	defer closeAll(taps)
	if err != nil {
		return nil, err
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	command := exec.Command("/proc/self/exe", confineArgument)
	command.Env = []string{}
	command.Dir = "/"
	command.Stdin = os.Stdin
	command.Stderr = os.Stderr
	command.ExtraFiles = append([]*os.File{reader}, taps...)
	command.SysProcAttr = attributes(spec)
	if err := command.Start(); err != nil {
		writer.Close()
		return nil, fmt.Errorf("start in new namespaces: %w", err)
	}
	// The spec may be longer than a pipe holds, so write it concurrently. A second stage that dies meanwhile is
	// waited for like any other.
	go func() {
		defer writer.Close()
		_, _ = writer.Write(line)
	}()
	return command, nil
}

func attributes(spec *Spec) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{}
	if spec.DiesWithShim {
		attr.Pdeathsig = syscall.SIGKILL
	}
	if spec.Jail == nil {
		return attr
	}
	attr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS
	if spec.Jail.UserNamespace {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// detach closes the daemon's pipes, so that the daemon sees their end and this process holds no resource of
// it.
func detach() {
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return
	}
	for fd := 0; fd <= 1; fd++ {
		_ = syscall.Dup3(int(null.Fd()), fd, 0)
	}
	_ = null.Close()
}

func codeOf(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

// end is the content of the status file: exactly one of the two fields is set.
type end struct {
	ExitCode *int `json:"exitCode"`
	Signal   *int `json:"signal"`
}

// writeStatus replaces the status file. The VMM may add files to the directory but cannot remove ours.
func writeStatus(path string, status syscall.WaitStatus) error {
	if path == "" {
		return nil
	}
	ended := end{}
	if status.Signaled() {
		signal := int(status.Signal())
		ended.Signal = &signal
	} else {
		code := status.ExitStatus()
		ended.ExitCode = &code
	}
	text, err := json.Marshal(ended)
	if err != nil {
		return err
	}
	file, err := createBeside(path)
	if err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	defer file.Close()
	if _, err := io.WriteString(file, string(text)+"\n"); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return nil
}

// createBeside makes a new temporary file; it skips names that the VMM has taken.
func createBeside(path string) (*os.File, error) {
	const attempts = 100
	for i := 0; i < attempts; i++ {
		name := filepath.Join(filepath.Dir(path), ".status-"+strconv.Itoa(os.Getpid())+"-"+strconv.Itoa(i))
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
		if !errors.Is(err, os.ErrExist) {
			return file, err
		}
	}
	return nil, errors.New("every temporary name is taken")
}

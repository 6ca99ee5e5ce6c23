package calls

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/linktest"
)

// logged starts a shell command whose log is in the directory.
func (g *guest) logged(t *testing.T, directory, script string, extra arguments) (*linktest.Stream, arguments) {
	t.Helper()
	all := with(arguments{
		"argv": []string{"sh", "-c", script}, "log_name": "log", "log_directories": []string{directory}, "output_bytes_max": 8,
	}, extra)
	stream := g.host.StartAs("start_logged", all)
	return stream, stream.Answer()
}

func isLogged(t *testing.T, result linktest.Result, outcome, output, log string) {
	t.Helper()
	isOutcome(t, result, outcome)
	if string(result.Stdout) != output || result.Log != log || result.IsFull {
		t.Errorf("output %q, log %s, full %v; want %q, %s", result.Stdout, result.Log, result.IsFull, output, log)
	}
}

func pidOf(answer arguments) int {
	pid, _ := answer["pid"].(float64)
	return int(pid)
}

// awaitContent polls a file until it has the text.
func awaitContent(t *testing.T, path, text string) {
	t.Helper()
	for deadline := time.Now().Add(linktest.Wait); time.Now().Before(deadline); {
		if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), text) {
			return
		}
	}
	t.Fatalf("%s never has %q", path, text)
}

func awaitExit(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(linktest.Wait); time.Now().Before(deadline); {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			return
		}
	}
	t.Fatalf("process %d does not end", pid)
}

func TestBothOutputsComeInTheOrderInWhichTheyWereWritten(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	stream, answer := guest.logged(t, directory, "echo a; echo b >&2; echo c; exit 7", nil)
	if answer["log"] != filepath.Join(directory, "log") || pidOf(answer) < 2 {
		t.Fatalf("start: %v", answer)
	}
	isLogged(t, stream.Finish(), "exited 7", "a\nb\nc\n", "removed")
	isAlone(t, directory)
}

func TestALogWithMoreThanTheAnswerIsKept(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	stream, _ := guest.logged(t, directory, "printf 12345678", nil)
	isLogged(t, stream.Finish(), "exited 0", "12345678", "removed")
	stream, _ = guest.logged(t, directory, "printf 123456789; kill -9 $$", nil)
	isLogged(t, stream.Finish(), "signalled KILL", "12345678", "kept")
	content, err := os.ReadFile(filepath.Join(directory, "log"))
	if err != nil || string(content) != "123456789" {
		t.Errorf("the log has %q, %v", content, err)
	}
}

func TestACommandThatRemovesItsLogLosesNoOutput(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	stream, _ := guest.logged(t, directory, fmt.Sprintf("echo a; rm %s/log; echo b", directory), nil)
	isLogged(t, stream.Finish(), "exited 0", "a\nb\n", "removed")
	stream, _ = guest.logged(t, directory, fmt.Sprintf("rm %s/log; printf 123456789", directory), nil)
	isLogged(t, stream.Finish(), "exited 0", "12345678", "gone")
	isAlone(t, directory)
}

func TestACommandThatIsLetGoOutlivesItsHost(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	gate := newFifo(t)
	stream, answer := guest.logged(t, directory, fmt.Sprintf("echo so far; cat %s; echo done; exec sleep 1000", gate.path), arguments{"output_bytes_max": 100})
	log := filepath.Join(directory, "log")
	awaitContent(t, log, "so far\n")
	stream.Send(link.FrameLetGo, nil)
	isLogged(t, stream.Finish(), "running", "so far\n", "kept")
	_ = stream.Close()
	guest.again(t, 2)
	gate.release(t)
	awaitContent(t, log, "done\n")
	if err := syscall.Kill(pidOf(answer), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	awaitExit(t, pidOf(answer))
	isAlone(t, directory, "log")
	if listed := guest.host.Call("signal", arguments{"command": stream.Command, "signal": "TERM"}); listed["code"] != "not_found" {
		t.Errorf("it is still known: %v", listed)
	}
}

func TestLettingGoOfAnEndedCommandSaysHowItEnded(t *testing.T) {
	guest := newGuest(t)
	stream, answer := guest.logged(t, t.TempDir(), "exit 5", nil)
	awaitExit(t, pidOf(answer))
	stream.Send(link.FrameLetGo, nil)
	isLogged(t, stream.Finish(), "exited 5", "", "removed")
}

func TestADetachedCommandGoesOnByItself(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	stream, answer := guest.logged(t, directory, "echo begun; exec sleep 1000", arguments{"detached": true})
	_ = stream.Close()
	guest.again(t, 2)
	awaitContent(t, filepath.Join(directory, "log"), "begun\n")
	if err := syscall.Kill(pidOf(answer), syscall.SIGKILL); err != nil {
		t.Error(err)
	}
	awaitExit(t, pidOf(answer))
}

func TestAHostThatLeavesEndsTheCommandAndItsLog(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	fifo := newFifo(t)
	stream, _ := guest.logged(t, directory, stubborn, arguments{"env": arguments{"FIFO": fifo.path}})
	reader := fifo.reader(t)
	awaitStubborn(t, reader)
	_ = stream.Close()
	allGone(t, reader)
	guest.host.Call("hello", nil)
	for deadline := time.Now().Add(linktest.Wait); time.Now().Before(deadline); {
		if _, err := os.Lstat(filepath.Join(directory, "log")); os.IsNotExist(err) {
			return
		}
	}
	t.Error("the log is left")
}

func TestACommandHasNoOpenFilesOfTheAgent(t *testing.T) {
	guest := newGuest(t)
	stream, _ := guest.logged(t, t.TempDir(), "ls /proc/self/fd | wc -l", nil)
	// Its three streams, and the directory that ls reads.
	if result := stream.Finish(); strings.TrimSpace(string(result.Stdout)) != strconv.Itoa(4) {
		t.Errorf("it has %s", result.Stdout)
	}
}

func TestRefusedLoggedCommands(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	for name, test := range map[string]struct {
		extra arguments
		code  string
		words string
	}{
		"no place for the log": {arguments{"log_directories": []string{"/nowhere"}}, "invalid", "no log can be written to any of: /nowhere"},
		"no such program":      {arguments{"argv": []string{"/nowhere/sh"}}, "invalid", "not found"},
		"no directory":         {arguments{"log_directories": []string{}}, "invalid", "log_directories"},
		"a relative directory": {arguments{"log_directories": []string{"tmp"}}, "invalid", "absolute"},
		"a path as name":       {arguments{"log_name": "../log"}, "invalid", "log_name"},
		"no name":              {arguments{"log_name": ""}, "invalid", "log_name"},
		"standard input":       {arguments{"has_stdin": true}, "invalid", "standard input"},
		"too much output":      {arguments{"output_bytes_max": loggedBytesMax + 1}, "invalid", "output_bytes_max"},
		"no such user":         {arguments{"user": "nobody-here"}, "invalid", "nobody-here"},
	} {
		t.Run(name, func(t *testing.T) {
			_, answer := guest.logged(t, directory, "true", test.extra)
			isCode(t, answer, test.code, test.words)
			isAlone(t, directory)
		})
	}
}

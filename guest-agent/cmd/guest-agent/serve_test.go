package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"guest-agent/internal/linktest"
)

// asAgent makes the test binary act as the agent.
const asAgent = "GUEST_AGENT_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asAgent) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func start(t *testing.T, files []*os.File, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self, args...)
	command.Env = append(os.Environ(), asAgent+"=1")
	command.ExtraFiles = files
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	return command
}

func TestServeOnADescriptor(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "agent")
	command := start(t, []*os.File{theirs}, "serve", "--fd", "3")
	_ = theirs.Close()
	file := os.NewFile(uintptr(fds[0]), "host")
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	host := linktest.NewHost(t, conn, 1)
	if answer := host.Call("hello", nil); answer["agent_version"] != "dev" {
		t.Errorf("hello: %v", answer)
	}
	host.HangUp()
	if err := command.Wait(); err != nil {
		t.Errorf("the agent did not end with its carrier: %v", err)
	}
}

func TestServeOnASocketOneHostAfterTheOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	command := start(t, nil, "serve", "--socket", path)
	for nonce := byte(1); nonce < 4; nonce++ {
		host := linktest.NewHost(t, dial(t, path), nonce)
		stream := host.Start(map[string]interface{}{"argv": []string{"echo", "hi"}, "timeout_ms": 60000})
		if answer := stream.Answer(); answer["ok"] != true {
			t.Fatalf("exec: %v", answer)
		}
		if result := stream.Finish(); !bytes.Equal(result.Stdout, []byte("hi\n")) || result.String() != "exited 0" {
			t.Errorf("%q, %s", result.Stdout, result)
		}
		host.HangUp()
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("the agent did not end by SIGTERM: %v", err)
	}
}

// dial waits until the agent listens.
func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(linktest.Wait); ; runtime.Gosched() {
		conn, err := net.Dial("unix", path)
		if err == nil {
			return conn
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestUsage(t *testing.T) {
	command := start(t, nil, "nonsense")
	if err := command.Wait(); err == nil || command.ProcessState.ExitCode() != 2 {
		t.Errorf("nonsense ends with %v, want exit code 2", err)
	}
}

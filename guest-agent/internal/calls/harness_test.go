package calls

import (
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"guest-agent/internal/linktest"
	"guest-agent/internal/process"
	"guest-agent/internal/system"
)

// guest is an agent on one end of a socket pair, and a host on the other.
type guest struct {
	agent    *Agent
	recorder *system.Recorder
	host     *linktest.Host
}

func newGuest(t *testing.T) *guest {
	t.Helper()
	reaper := process.NewReaper(false, t.Logf)
	recorder := &system.Recorder{}
	agent := New("1.2.3", recorder, &process.Starter{Reaper: reaper}, t.Logf)
	ours, theirs := socketPair(t)
	served := make(chan error, 1)
	go func() { served <- agent.Serve(theirs) }()
	host := linktest.NewHost(t, ours, 1)
	t.Cleanup(func() {
		host.HangUp()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		_ = theirs.Close()
		agent.Close()
		reaper.Close()
	})
	return &guest{agent: agent, recorder: recorder, host: host}
}

func socketPair(t *testing.T) (net.Conn, net.Conn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(file); err != nil {
			t.Fatal(err)
		}
		_ = file.Close()
	}
	return ends[0], ends[1]
}

type arguments = map[string]interface{}

// exec starts a shell command and checks that it was started.
func (g *guest) exec(t *testing.T, extra arguments) *linktest.Stream {
	t.Helper()
	all := arguments{"env": arguments{}, "cwd": "/", "user": "root", "timeout_ms": 60000, "has_stdin": false}
	for name, value := range extra {
		all[name] = value
	}
	stream := g.host.Start(all)
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatalf("start was refused: %v", answer)
	}
	return stream
}

func shell(script string) arguments {
	return arguments{"argv": []string{"/bin/sh", "-c", script}}
}

// TestMain keeps inherited descriptors away from the programs under test.
func TestMain(m *testing.M) {
	inherited, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range inherited {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
	os.Exit(linktest.RunTests(m))
}

func isOutcome(t *testing.T, result linktest.Result, want string) {
	t.Helper()
	if result.String() != want {
		t.Errorf("outcome %q, want %q (stderr %q)", result, want, strings.TrimSpace(string(result.Stderr)))
	}
}

package calls

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guest-agent/internal/link"
)

func TestExecReportsHowTheProgramEnded(t *testing.T) {
	guest := newGuest(t)
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("not a program"), 0o644); err != nil {
		t.Fatal(err)
	}
	headless := filepath.Join(t.TempDir(), "headless")
	if err := os.WriteFile(headless, []byte("#!/no/such/interpreter\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		arguments               arguments
		outcome, stdout, stderr string
	}{
		"success":             {shell("echo out; echo err >&2"), "exited 0", "out\n", "err\n"},
		"exit code":           {shell("exit 37"), "exited 37", "", ""},
		"signal":              {shell("kill -TERM $$"), "signalled TERM", "", ""},
		"kill":                {shell("kill -KILL $$"), "signalled KILL", "", ""},
		"real-time signal":    {shell("kill -40 $$"), "signalled RTMIN+6", "", ""},
		"timeout":             {arguments{"argv": []string{"sleep", "1000"}, "timeout_ms": 50}, "timed_out", "", ""},
		"timeout after words": {arguments{"argv": []string{"sh", "-c", "echo first; sleep 1000"}, "timeout_ms": 2000}, "timed_out", "first\n", ""},
		"not found":           {arguments{"argv": []string{"no-such-program"}}, "exited 127", "", "no-such-program: not found\n"},
		"path not found":      {arguments{"argv": []string{"/no/such/program"}}, "exited 127", "", "/no/such/program: not found\n"},
		"no interpreter":      {arguments{"argv": []string{headless}}, "exited 127", "", headless + ": not found, or its interpreter is not\n"},
		"not executable":      {arguments{"argv": []string{plain}}, "exited 126", "", plain + ": permission denied\n"},
		"directory":           {arguments{"argv": []string{"/etc"}}, "exited 126", "", "/etc: is a directory\n"},
		"given PATH":          {arguments{"argv": []string{"sh"}, "env": arguments{"PATH": "/no/such"}}, "exited 127", "", "sh: not found\n"},
		"given env and cwd":   {arguments{"argv": []string{"sh", "-c", "echo $A; pwd"}, "env": arguments{"A": "b c"}, "cwd": "/etc"}, "exited 0", "b c\n/etc\n", ""},
		"relative to cwd":     {arguments{"argv": []string{"./sh", "-c", "echo here"}, "cwd": "/bin"}, "exited 0", "here\n", ""},
		"default env":         {shell("echo $HOME $USER ${TERM-none}; echo $PATH"), "exited 0", "/root root none\n/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n", ""},
		"own session":         {shell("ps -o sid= -p $$ | tr -d ' ' | grep -qx $$"), "exited 0", "", ""},
		"no stdin":            {shell("cat | wc -c"), "exited 0", "0\n", ""},
		"clean descriptors":   {shell("ls /proc/self/fd | tr '\\n' ' '"), "exited 0", "0 1 2 3 ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			result := guest.exec(t, test.arguments).Finish()
			isOutcome(t, result, test.outcome)
			if string(result.Stdout) != test.stdout || string(result.Stderr) != test.stderr {
				t.Errorf("stdout %q, stderr %q; want %q, %q", result.Stdout, result.Stderr, test.stdout, test.stderr)
			}
		})
	}
}

func TestExecAsAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can run programs as others")
	}
	guest := newGuest(t)
	for user, want := range map[string]string{"nobody": "65534:65534", "0": "0:0", "12345": "12345:12345"} {
		all := shell("echo $(id -u):$(id -g)")
		all["user"] = user
		result := guest.exec(t, all).Finish()
		isOutcome(t, result, "exited 0")
		if got := strings.TrimSpace(string(result.Stdout)); got != want {
			t.Errorf("user %s runs as %s, want %s", user, got, want)
		}
	}
}

func TestExecRefusesWhatTheGuestCannotDo(t *testing.T) {
	guest := newGuest(t)
	base := func(extra arguments) arguments {
		all := arguments{"argv": []string{"true"}, "timeout_ms": 1000}
		for key, value := range extra {
			all[key] = value
		}
		return all
	}
	for name, extra := range map[string]arguments{
		"unknown user":    {"user": "no-such-user"},
		"bad directory":   {"cwd": "/no/such/directory"},
		"file as cwd":     {"cwd": "/etc/passwd"},
		"relative cwd":    {"cwd": "etc"},
		"no argv":         {"argv": []string{}},
		"empty program":   {"argv": []string{""}},
		"NUL in argv":     {"argv": []string{"true", "a\x00b"}},
		"bad variable":    {"env": arguments{"": "c"}},
		"no timeout":      {"timeout_ms": 0},
		"endless timeout": {"timeout_ms": int64(1) << 60},
		"wrong type":      {"cwd": 7},
		"bad id":          {"command": "a b"},
		"no id":           {"command": ""},
		"short spec":      {"argc": 3},
		"too large":       {"spec_bytes": 6<<20 + 1},
		"beyond kernel":   {"argv": []string{"true", strings.Repeat("x", 128<<10)}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := guest.host.Start(base(extra)).Answer()
			if answer["ok"] != false || answer["code"] != "invalid" {
				t.Errorf("answer %v, want invalid", answer)
			}
		})
	}
}

func TestStdinReachesTheProgram(t *testing.T) {
	guest := newGuest(t)
	stream := guest.exec(t, arguments{"argv": []string{"cat"}, "has_stdin": true})
	content := bytes.Repeat([]byte("0123456789abcdef"), 60000)
	go func() {
		for rest := content; len(rest) > 0; {
			n := len(rest)
			if n > link.FramePayloadBytesMax {
				n = link.FramePayloadBytesMax
			}
			if _, err := stream.Write(link.Frame(link.FrameStdin, rest[:n])); err != nil {
				return
			}
			rest = rest[n:]
		}
		_, _ = stream.Write(link.Frame(link.FrameStdin, nil))
	}()
	result := stream.Finish()
	isOutcome(t, result, "exited 0")
	if !bytes.Equal(result.Stdout, content) {
		t.Errorf("cat gave back %d bytes, want the %d it was given", len(result.Stdout), len(content))
	}
}

func TestASignalDoesNotWaitBehindStdin(t *testing.T) {
	guest := newGuest(t)
	stream := guest.exec(t, arguments{"argv": []string{"sleep", "1000"}, "has_stdin": true})
	if err := stream.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	frame := link.Frame(link.FrameStdin, make([]byte, link.FramePayloadBytesMax))
	for {
		if _, err := stream.Write(frame); err != nil {
			break
		}
	}
	if answer := guest.host.Call("signal", arguments{"command": stream.Command, "signal": "INT"}); answer["ok"] != true {
		t.Fatalf("signal: %v", answer)
	}
	isOutcome(t, stream.Finish(), "signalled INT")
}

func TestArgumentsAndEnvironmentAsLargeAsTheKernelTakes(t *testing.T) {
	guest := newGuest(t)
	argv := []string{"sh", "-c", "echo $#; printenv BIG | wc -c", "sh"}
	for i := 0; i < 10; i++ {
		argv = append(argv, strings.Repeat("a", 100<<10))
	}
	result := guest.exec(t, arguments{"argv": argv, "env": arguments{"BIG": strings.Repeat("\x01", 100<<10)}}).Finish()
	isOutcome(t, result, "exited 0")
	if string(result.Stdout) != "10\n102401\n" {
		t.Errorf("stdout %q", result.Stdout)
	}
}

func TestUnreadStdinDelaysNothing(t *testing.T) {
	guest := newGuest(t)
	stream := guest.exec(t, arguments{"argv": []string{"sh", "-c", "exec 0<&-; echo closed"}, "has_stdin": true})
	for i := 0; i < 3; i++ {
		stream.Send(link.FrameStdin, bytes.Repeat([]byte{'x'}, 1000))
	}
	isOutcome(t, stream.Finish(), "exited 0")
}

func TestSlowReaderGetsEverything(t *testing.T) {
	guest := newGuest(t)
	// More than pipe, frames and window can hold, so the program has to wait for the reader.
	const size = 8 << 20
	stream := guest.exec(t, shell(fmt.Sprintf("head -c %d /dev/zero; head -c 70000 /dev/zero >&2", size)))
	// Other calls on the same session are not delayed.
	if answer := guest.host.Call("hello", nil); answer["ok"] != true {
		t.Fatalf("hello: %v", answer)
	}
	result := stream.Finish()
	isOutcome(t, result, "exited 0")
	if len(result.Stdout) != size || len(result.Stderr) != 70000 {
		t.Errorf("got %d and %d bytes, want %d and 70000", len(result.Stdout), len(result.Stderr), size)
	}
}

func TestGrandchildWithThePipeDelaysNothing(t *testing.T) {
	guest := newGuest(t)
	fifo := newFifo(t)
	// The grandchild keeps standard output open until the test releases the FIFO.
	result := guest.exec(t, shell("echo before; cat "+fifo.path+" & echo after")).Finish()
	isOutcome(t, result, "exited 0")
	if string(result.Stdout) != "before\nafter\n" {
		t.Errorf("stdout %q", result.Stdout)
	}
	fifo.release(t)
}

func TestSignalReachesTheProgram(t *testing.T) {
	guest := newGuest(t)
	stream := guest.exec(t, shell("trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 0.05; done"))
	kind, payload, err := link.ReadFrame(stream.Reader)
	if err != nil || kind != link.FrameStdout || string(payload) != "ready\n" {
		t.Fatalf("frame %d %q, %v", kind, payload, err)
	}
	for signal, code := range map[string]interface{}{"NOSUCH": "invalid", "INT": nil} {
		answer := guest.host.Call("signal", arguments{"command": stream.Command, "signal": signal})
		if answer["code"] != code {
			t.Errorf("signal %s: %v", signal, answer)
		}
	}
	result := stream.Finish()
	isOutcome(t, result, "exited 5")
	if string(result.Stdout) != "caught\n" {
		t.Errorf("stdout %q", result.Stdout)
	}
}

func TestAnInvalidFrameEndsTheProgram(t *testing.T) {
	guest := newGuest(t)
	for name, garbage := range map[string][]byte{
		"unknown type": link.Frame(99, []byte("x")),
		"signal of 1":  link.Frame(17, []byte("TERM")),
		"too long":     {byte(link.FrameStdin), 0xff, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			stream := guest.exec(t, arguments{"argv": []string{"sleep", "1000"}, "has_stdin": true})
			if _, err := stream.Write(garbage); err != nil {
				t.Fatal(err)
			}
			isOutcome(t, stream.Finish(), "signalled KILL")
		})
	}
}

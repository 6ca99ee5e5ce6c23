package calls

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/linktest"
)

// fifo detects when all processes that held it open have exited.
type fifo struct{ path string }

func newFifo(t *testing.T) *fifo {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return &fifo{path: path}
}

// reader waits for a writer.
func (f *fifo) reader(t *testing.T) *bufio.Reader {
	t.Helper()
	file, err := os.Open(f.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	if err := file.SetDeadline(time.Now().Add(linktest.Wait)); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(file)
}

// release lets a program that reads the FIFO finish.
func (f *fifo) release(t *testing.T) {
	t.Helper()
	file, err := os.OpenFile(f.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

// A program that ignores TERM and has descendants that also do, in their own sessions, one of them orphaned.
// Each reports itself on the FIFO and holds it open.
const stubborn = `exec 3>"$FIFO"; trap "" TERM HUP INT
setsid sh -c 'trap "" TERM; echo session >&3; while :; do sleep 1000; done' &
setsid sh -c 'setsid sh -c "echo deep >&3; sleep 1000" & sleep 1000' &
(setsid sh -c 'echo orphan >&3; sleep 1000' &)
while :; do sleep 1000; done`

func startStubborn(t *testing.T, guest *guest, timeoutMs int, extra arguments) (*linktest.Stream, *bufio.Reader) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("descendants that left the tree are found by a mark that only root can set")
	}
	fifo := newFifo(t)
	all := shell(stubborn)
	all["env"] = arguments{"FIFO": fifo.path}
	all["timeout_ms"] = timeoutMs
	for name, value := range extra {
		all[name] = value
	}
	stream := guest.exec(t, all)
	reader := fifo.reader(t)
	awaitStubborn(t, reader)
	return stream, reader
}

// awaitStubborn returns when all of the program's descendants are running.
func awaitStubborn(t *testing.T, reader *bufio.Reader) {
	t.Helper()
	seen := map[string]bool{}
	for len(seen) < 3 {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatalf("the program did not start all its descendants: %v", err)
		}
		seen[strings.TrimSpace(line)] = true
	}
}

// allGone returns when no process holds the FIFO any more, and fails when one keeps it open.
func allGone(t *testing.T, reader *bufio.Reader) {
	t.Helper()
	var rest bytes.Buffer
	if _, err := rest.ReadFrom(reader); err != nil {
		t.Fatalf("a descendant is still alive: %v", err)
	}
}

func TestTimeoutKillsTheWholeTree(t *testing.T) {
	guest := newGuest(t)
	stream, reader := startStubborn(t, guest, 3000, nil)
	isOutcome(t, stream.Finish(), "timed_out")
	allGone(t, reader)
}

func TestEndingTheStreamKillsTheWholeTree(t *testing.T) {
	guest := newGuest(t)
	stream, reader := startStubborn(t, guest, 600000, nil)
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	allGone(t, reader)
}

func TestEndingTheStreamKillsAProgramThatReadsNoInput(t *testing.T) {
	guest := newGuest(t)
	stream, reader := startStubborn(t, guest, 600000, arguments{"has_stdin": true})
	// Fill pipe, queue and window, so that the stream's end follows data that nobody will read.
	if err := stream.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	frame := link.Frame(link.FrameStdin, make([]byte, link.FramePayloadBytesMax))
	for {
		if _, err := stream.Write(frame); err != nil {
			break
		}
	}
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	allGone(t, reader)
}

func TestEndingTheSessionKillsTheWholeTree(t *testing.T) {
	guest := newGuest(t)
	_, reader := startStubborn(t, guest, 600000, nil)
	guest.host.HangUp()
	allGone(t, reader)
}

func TestANewSessionKillsWhatTheOldOneRan(t *testing.T) {
	guest := newGuest(t)
	_, reader := startStubborn(t, guest, 600000, nil)
	// The host drops its old session silently.
	linktest.Greet(t, guest.host.Abandon(), linktest.Token(), linktest.Nonce(2))
	allGone(t, reader)
}

func TestAProgramThatFloodsIsKilledWhenNobodyReads(t *testing.T) {
	guest := newGuest(t)
	stream, reader := startStubborn(t, guest, 600000, arguments{
		"argv": []string{"sh", "-c", strings.Replace(stubborn, "trap", "cat /dev/zero & trap", 1)},
	})
	if err := stream.Close(); err != nil {
		t.Fatal(err)
	}
	allGone(t, reader)
}

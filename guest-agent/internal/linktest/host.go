// Package linktest is a host for tests: the other end of the guest link, on the real yamux library.
package linktest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"guest-agent/internal/link"
)

// Wait limits every wait in a test.
const Wait = 30 * time.Second

// started counts the commands of all hosts.
var started int64

// Host is one connection to a guest.
type Host struct {
	Session *yamux.Session
	conn    net.Conn
	t       testing.TB
}

// kept stays open when the session on it closes.
type kept struct{ net.Conn }

// Close interrupts the session's reads and writes.
func (k kept) Close() error { return k.SetDeadline(time.Unix(1, 0)) }

// Token is the secret that tests use.
func Token() []byte { return bytes.Repeat([]byte{7}, link.TokenBytes) }

// Nonce makes distinct nonces.
func Nonce(n byte) []byte { return bytes.Repeat([]byte{n}, link.NonceBytes) }

// Greet sends a preamble and discards input up to its answer.
func Greet(t testing.TB, conn net.Conn, token, nonce []byte) {
	t.Helper()
	GreetedBehind(t, conn, token, nonce)
}

// GreetedBehind sends a preamble and returns the input up to its answer.
func GreetedBehind(t testing.TB, conn net.Conn, token, nonce []byte) []byte {
	t.Helper()
	must(t, conn.SetDeadline(time.Now().Add(Wait)))
	// The guest may be writing stale output, so read while writing.
	wrote := make(chan error, 1)
	go func() {
		_, err := conn.Write(append(append([]byte{}, token...), nonce...))
		wrote <- err
	}()
	want := append(link.Acknowledgement(token), nonce...)
	var seen []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(seen, want) {
		if _, err := conn.Read(one); err != nil {
			t.Fatalf("no answer to the preamble: %v", err)
		}
		seen = append(seen, one[0])
	}
	must(t, <-wrote)
	must(t, conn.SetDeadline(time.Time{}))
	return seen
}

// NewHost greets the guest and starts a session.
func NewHost(t testing.TB, conn net.Conn, nonce byte) *Host {
	t.Helper()
	Greet(t, conn, Token(), Nonce(nonce))
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.LogOutput = io.Discard
	session, err := yamux.Client(kept{conn}, config)
	must(t, err)
	t.Cleanup(func() { _ = session.Close() })
	return &Host{Session: session, conn: conn, t: t}
}

// Abandon ends the host's session silently and returns the connection for another.
func (h *Host) Abandon() net.Conn {
	h.t.Helper()
	// The guest must read everything from this session before the next bytes arrive.
	_, err := h.Session.Ping()
	must(h.t, err)
	must(h.t, h.Session.Close())
	must(h.t, h.conn.SetDeadline(time.Time{}))
	return h.conn
}

// HangUp ends session and connection.
func (h *Host) HangUp() {
	_ = h.Session.Close()
	_ = h.conn.Close()
}

// Stream is a running call.
type Stream struct {
	*yamux.Stream
	Reader *bufio.Reader
	// Command is the id of the command that Start has started.
	Command string
	t       testing.TB
}

// Open opens a stream and sends line.
func (h *Host) Open(line string) *Stream {
	h.t.Helper()
	stream, err := h.Session.OpenStream()
	must(h.t, err)
	must(h.t, stream.SetDeadline(time.Now().Add(Wait)))
	_, err = stream.Write([]byte(line))
	must(h.t, err)
	h.t.Cleanup(func() { _ = stream.Close() })
	return &Stream{Stream: stream, Reader: bufio.NewReader(stream), t: h.t}
}

// Answer reads the guest's line.
func (s *Stream) Answer() map[string]interface{} {
	s.t.Helper()
	line, err := s.Reader.ReadBytes('\n')
	must(s.t, err)
	var answer map[string]interface{}
	must(s.t, json.Unmarshal(line, &answer))
	return answer
}

// Call makes a call without its own framing.
func (h *Host) Call(name string, arguments map[string]interface{}) map[string]interface{} {
	h.t.Helper()
	stream := h.Open(Line(h.t, name, arguments))
	defer stream.Close()
	return stream.Answer()
}

// Start starts a command: argv and env follow the line; an id is made if there is none.
func (h *Host) Start(arguments map[string]interface{}) *Stream {
	h.t.Helper()
	return h.StartAs("start", arguments)
}

// StartAs is Start by another call.
func (h *Host) StartAs(call string, arguments map[string]interface{}) *Stream {
	h.t.Helper()
	// The command of an earlier host may not have ended yet.
	line := map[string]interface{}{"command": fmt.Sprintf("c%d", atomic.AddInt64(&started, 1))}
	var spec []byte
	for name, value := range arguments {
		if name != "argv" && name != "env" {
			line[name] = value
		}
	}
	argv, _ := arguments["argv"].([]string)
	for _, argument := range argv {
		spec = append(append(spec, argument...), 0)
	}
	env, _ := arguments["env"].(map[string]interface{})
	for name, value := range env {
		spec = append(append(spec, fmt.Sprintf("%s=%v", name, value)...), 0)
	}
	for name, value := range map[string]interface{}{"argc": len(argv), "spec_bytes": len(spec)} {
		if _, isGiven := line[name]; !isGiven {
			line[name] = value
		}
	}
	stream := h.Open(Line(h.t, call, line) + string(spec))
	stream.Command, _ = line["command"].(string)
	return stream
}

// Line encodes a call.
func Line(t testing.TB, name string, arguments map[string]interface{}) string {
	t.Helper()
	fields := map[string]interface{}{"call": name}
	for key, value := range arguments {
		fields[key] = value
	}
	line, err := json.Marshal(fields)
	must(t, err)
	return string(line) + "\n"
}

// Result is the complete result of an exec call.
type Result struct {
	Stdout, Stderr []byte
	Lost           int64
	Outcome        link.Outcome
	// Log and IsFull are those of a command with a log.
	Log    string
	IsFull bool
}

// Finish reads an exec call's frames up to its outcome.
func (s *Stream) Finish() Result {
	s.t.Helper()
	var result Result
	for {
		kind, payload, err := link.ReadFrame(s.Reader)
		if err != nil {
			s.t.Fatalf("the call ended before its outcome: %v", err)
		}
		switch kind {
		case link.FrameStdout:
			result.Stdout = append(result.Stdout, payload...)
		case link.FrameStderr:
			result.Stderr = append(result.Stderr, payload...)
		case link.FrameLost:
			lost, ok := link.Number(payload)
			if !ok {
				s.t.Fatalf("a loss of %x", payload)
			}
			result.Lost += lost
		case link.FrameOutcome:
			must(s.t, json.Unmarshal(payload, &result.Outcome))
			var more struct {
				Log    string `json:"log"`
				IsFull bool   `json:"is_full"`
			}
			must(s.t, json.Unmarshal(payload, &more))
			result.Log, result.IsFull = more.Log, more.IsFull
			return result
		default:
			s.t.Fatalf("unexpected frame %d", kind)
		}
	}
}

// Send writes one frame.
func (s *Stream) Send(kind link.FrameType, payload []byte) {
	s.t.Helper()
	_, err := s.Write(link.Frame(kind, payload))
	must(s.t, err)
}

// String formats an outcome for comparison in tests.
func (r Result) String() string {
	if r.Outcome.ExitCode != nil {
		return fmt.Sprintf("%s %d", r.Outcome.Outcome, *r.Outcome.ExitCode)
	}
	if r.Outcome.Signal != "" {
		return r.Outcome.Outcome + " " + r.Outcome.Signal
	}
	return r.Outcome.Outcome
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package link_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/linktest"
)

var newToken = bytes.Repeat([]byte{9}, link.TokenBytes)

// serve runs a server that answers `ping` on a carrier that, like a virtio port, never joins two writes in
// one read.
func serve(t *testing.T) net.Conn {
	t.Helper()
	host, guest := net.Pipe()
	var server *link.Server
	server = link.NewServer(map[string]link.Handler{
		"ping": func(call *link.Call) { _ = call.Succeed(map[string]interface{}{"pong": true}) },
		"rekey": func(call *link.Call) {
			server.Rekey(newToken)
			_ = call.Succeed(nil)
		},
		"hold": func(call *link.Call) {
			_ = call.Succeed(nil)
			<-call.Ended()
		},
	}, t.Logf)
	done := make(chan error, 1)
	go func() { done <- server.Serve(guest) }()
	t.Cleanup(func() {
		_ = host.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		server.Close(linktest.Wait)
		_ = guest.Close()
	})
	return host
}

func answersPing(t *testing.T, host *linktest.Host) {
	t.Helper()
	if answer := host.Call("ping", nil); answer["pong"] != true {
		t.Fatalf("ping: %v", answer)
	}
}

func write(t *testing.T, conn net.Conn, content []byte) {
	t.Helper()
	// A guest that does not read makes the test fail instead of hang.
	if err := conn.SetWriteDeadline(time.Now().Add(linktest.Wait)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func TestPreambleStartsASession(t *testing.T) {
	answersPing(t, linktest.NewHost(t, serve(t), 1))
}

func TestStaleBytesBeforeThePreambleAreDiscarded(t *testing.T) {
	conn := serve(t)
	linktest.NewHost(t, conn, 1).Abandon()
	write(t, conn, bytes.Repeat([]byte{0xee}, 3000))
	write(t, conn, linktest.Token()[:20])
	answersPing(t, linktest.NewHost(t, conn, 2))
}

func TestAPreambleEndsTheOldSession(t *testing.T) {
	conn := serve(t)
	for nonce := byte(1); nonce < 20; nonce++ {
		host := linktest.NewHost(t, conn, nonce)
		answersPing(t, host)
		host.Abandon()
	}
}

func TestAPreambleEndsTheOldSessionsCalls(t *testing.T) {
	conn := serve(t)
	host := linktest.NewHost(t, conn, 1)
	if answer := host.Open(linktest.Line(t, "hold", nil)).Answer(); answer["ok"] != true {
		t.Fatalf("hold: %v", answer)
	}
	host.Abandon()
	answersPing(t, linktest.NewHost(t, conn, 2))
	// The cleanup's Close waits for the held call.
}

func TestAPreambleTwiceInARow(t *testing.T) {
	conn := serve(t)
	linktest.Greet(t, conn, linktest.Token(), linktest.Nonce(1))
	linktest.Greet(t, conn, linktest.Token(), linktest.Nonce(2))
	answersPing(t, linktest.NewHost(t, conn, 3))
}

// isNotAnswered sends a preamble that must not be answered and then a valid one, whose answer must come
// first.
func isNotAnswered(t *testing.T, conn net.Conn, token, own []byte, nonce byte) {
	t.Helper()
	write(t, conn, append(append([]byte{}, token...), linktest.Nonce(nonce)...))
	seen := linktest.GreetedBehind(t, conn, own, linktest.Nonce(nonce+1))
	if want := append(link.Acknowledgement(own), linktest.Nonce(nonce+1)...); !bytes.Equal(seen, want) {
		t.Errorf("the guest answered %x", seen)
	}
}

func TestATokenThatDiffersInAnyByteIsNotAnswered(t *testing.T) {
	conn := serve(t)
	linktest.Greet(t, conn, linktest.Token(), linktest.Nonce(1))
	for position := 0; position < link.TokenBytes; position++ {
		other := linktest.Token()
		other[position] ^= 1
		// An ended session must be as strict as a new one.
		isNotAnswered(t, conn, other, linktest.Token(), byte(2+2*position))
	}
}

func TestTheOldTokenIsNotAnsweredAfterARekey(t *testing.T) {
	conn := serve(t)
	host := linktest.NewHost(t, conn, 1)
	if answer := host.Call("rekey", nil); answer["ok"] != true {
		t.Fatalf("rekey: %v", answer)
	}
	answersPing(t, host)
	isNotAnswered(t, host.Abandon(), linktest.Token(), newToken, 2)
}

func TestALineOfBoundedLength(t *testing.T) {
	host := linktest.NewHost(t, serve(t), 1)
	fit := func(size int) string {
		line := `{"call":"ping","pad":""}` + "\n"
		return line[:len(line)-3] + string(bytes.Repeat([]byte{'x'}, size-len(line))) + line[len(line)-3:]
	}
	longest := host.Open(fit(link.LineBytesMax))
	if answer := longest.Answer(); answer["pong"] != true {
		t.Errorf("a line of 64 KiB: %v", answer)
	}
	tooLong := host.Open(fit(link.LineBytesMax + 1))
	if answer := tooLong.Answer(); answer["ok"] != false || answer["code"] != "invalid" {
		t.Errorf("a longer line: %v", answer)
	}
}

func TestAnInvalidCallIsRefused(t *testing.T) {
	host := linktest.NewHost(t, serve(t), 1)
	for line, code := range map[string]string{
		"\n":                      "invalid",
		"null\n":                  "invalid",
		"[]\n":                    "invalid",
		"{\"call\":1}\n":          "invalid",
		"{\"call\":\"nosuch\"}\n": "unsupported",
		"{}{}\n":                  "invalid",
	} {
		if answer := host.Open(line).Answer(); answer["ok"] != false || answer["code"] != code {
			t.Errorf("%q: %v, want %s", line, answer, code)
		}
	}
	answersPing(t, host)
}

func TestManyCallsAtOnce(t *testing.T) {
	host := linktest.NewHost(t, serve(t), 1)
	var streams []*linktest.Stream
	for i := 0; i < 100; i++ {
		streams = append(streams, host.Open(linktest.Line(t, "hold", nil)))
	}
	for _, stream := range streams {
		if answer := stream.Answer(); answer["ok"] != true {
			t.Errorf("hold: %v", answer)
		}
	}
	answersPing(t, host)
}

func TestAnnounceWithoutAHost(t *testing.T) {
	server := link.NewServer(nil, t.Logf)
	if err := server.Announce("poweroff", time.Second); err == nil {
		t.Error("announced to nobody")
	}
}

func TestAnnounceGivesUpOnASilentHost(t *testing.T) {
	host, guest := net.Pipe()
	server := link.NewServer(nil, t.Logf)
	done := make(chan error, 1)
	go func() { done <- server.Serve(guest) }()
	session := linktest.NewHost(t, host, 1).Session
	if err := server.Announce("poweroff", time.Millisecond); err == nil {
		t.Error("announced to a host that does not answer")
	}
	_ = session.Close()
	_ = host.Close()
	<-done
	_ = guest.Close()
}

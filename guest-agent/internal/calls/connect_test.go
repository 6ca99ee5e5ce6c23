package calls

import (
	"crypto/sha256"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/linktest"
)

// listen starts a program that serves one connection on a port of this host.
func listen(t *testing.T, address string, serve func(*net.TCPConn)) int {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("cannot listen on %s: %v", address, err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn.(*net.TCPConn))
	}()
	return listener.Addr().(*net.TCPAddr).Port
}

func (g *guest) connect(t *testing.T, port int) *linktest.Stream {
	t.Helper()
	stream := g.host.Open(linktest.Line(t, "connect", arguments{"port": port}))
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatalf("connect was refused: %v", answer)
	}
	return stream
}

func TestConnectCarriesBothDirections(t *testing.T) {
	g := newGuest(t)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		port := listen(t, address, func(conn *net.TCPConn) {
			all, _ := io.ReadAll(conn)
			_, _ = conn.Write([]byte("got " + string(all)))
		})
		stream := g.connect(t, port)
		stream.Send(link.FrameUpload, []byte("hello "))
		stream.Send(link.FrameUpload, []byte("world"))
		// The end of our half; the program answers after it.
		stream.Send(link.FrameUploadEnd, nil)
		content, last := framesOf(t, stream)
		if content != "got hello world" || last["ok"] != true {
			t.Errorf("%s: %q, %v", address, content, last)
		}
		stream.Close()
	}
}

func TestConnectGoesOnAfterTheProgramsEnd(t *testing.T) {
	g := newGuest(t)
	received := make(chan string, 1)
	port := listen(t, "127.0.0.1:0", func(conn *net.TCPConn) {
		_, _ = conn.Write([]byte("bye"))
		_ = conn.CloseWrite()
		all, _ := io.ReadAll(conn)
		received <- string(all)
	})
	stream := g.connect(t, port)
	if content, last := framesOf(t, stream); content != "bye" || last["ok"] != true {
		t.Fatalf("%q, %v", content, last)
	}
	stream.Send(link.FrameUpload, []byte("late"))
	stream.Send(link.FrameUploadEnd, nil)
	if got := within(t, received); got != "late" {
		t.Errorf("the program got %q", got)
	}
	stream.Close()
}

// The end of the stream may overtake the data that is still to be read from it.
func TestConnectDeliversWhatWasSentBeforeTheHostLeft(t *testing.T) {
	g := newGuest(t)
	content := strings.Repeat("late", 10_000)
	for i := 0; i < 100; i++ {
		received := make(chan string, 1)
		port := listen(t, "127.0.0.1:0", func(conn *net.TCPConn) {
			_ = conn.CloseWrite()
			all, _ := io.ReadAll(conn)
			received <- string(all)
		})
		stream := g.connect(t, port)
		if _, last := framesOf(t, stream); last["ok"] != true {
			t.Fatalf("%v", last)
		}
		stream.Send(link.FrameUpload, []byte(content))
		stream.Send(link.FrameUploadEnd, nil)
		stream.Close()
		if got := within(t, received); got != content {
			t.Fatalf("connection %d: the program got %d bytes", i, len(got))
		}
	}
}

func TestConnectCarriesMuch(t *testing.T) {
	g := newGuest(t)
	content := strings.Repeat("0123456789abcdef", 1<<18)
	port := listen(t, "127.0.0.1:0", func(conn *net.TCPConn) { _, _ = io.Copy(conn, onlyReader{conn}) })
	stream := g.connect(t, port)
	go func() {
		for rest := content; rest != ""; rest = rest[link.FramePayloadBytesMax:] {
			stream.Send(link.FrameUpload, []byte(rest[:link.FramePayloadBytesMax]))
		}
		stream.Send(link.FrameUploadEnd, nil)
	}()
	got, last := framesOf(t, stream)
	if sha256.Sum256([]byte(got)) != sha256.Sum256([]byte(content)) || last["ok"] != true {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(content), last)
	}
	stream.Close()
}

func TestConnectEndsWithTheHost(t *testing.T) {
	g := newGuest(t)
	ended := make(chan string, 1)
	port := listen(t, "127.0.0.1:0", func(conn *net.TCPConn) {
		_, _ = io.ReadAll(conn)
		ended <- "ended"
	})
	stream := g.connect(t, port)
	stream.Send(link.FrameUpload, []byte("x"))
	// Without the end of the data: the host is gone.
	stream.Close()
	within(t, ended)
}

func TestConnectSaysThatTheProgramBrokeTheConnection(t *testing.T) {
	g := newGuest(t)
	port := listen(t, "127.0.0.1:0", func(conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 1))
		// Sends a reset.
		_ = conn.SetLinger(0)
	})
	stream := g.connect(t, port)
	stream.Send(link.FrameUpload, []byte("x"))
	if _, last := framesOf(t, stream); last["code"] != "conflict" {
		t.Errorf("the last frame is %v", last)
	}
	stream.Close()
}

func TestConnectRefuses(t *testing.T) {
	g := newGuest(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	for port, code := range map[int]string{free: "conflict", 0: "invalid", 65536: "invalid"} {
		if answer := g.host.Call("connect", arguments{"port": port}); answer["code"] != code {
			t.Errorf("port %d: %v", port, answer)
		}
	}
}

func within(t *testing.T, from <-chan string) string {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		return ""
	}
}

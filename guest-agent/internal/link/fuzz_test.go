package link

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// FuzzSession feeds a guest arbitrary bytes after its preamble. It must neither panic nor hang, nor keep a
// call.
func FuzzSession(f *testing.F) {
	call := frame(1, flagSyn, 1, 0)
	line := []byte(`{"call":"echo"}` + "\n")
	data := append(frame(typeData, 0, 1, 0)[:8], 0, 0, 0, byte(len(line)))
	data = append(data, line...)
	good := append(append(append([]byte{}, call...), data...), frame(1, flagFin, 1, 0)...)
	for _, seed := range [][]byte{
		nil, {0}, call, good, good[:len(good)-20], append(good, good...),
		frame(2, flagSyn, 0, 7), frame(3, 0, 0, 0), frame(typeData, flagSyn|flagFin, 3, 9), frame(9, 0, 0, 0),
		append(frame(typeData, flagSyn, 1, 0)[:8], 0xff, 0xff, 0xff, 0xff), frame(1, flagRst, 1, 0xffffffff),
		bytes.Repeat([]byte{0xff}, 100), bytes.Repeat(call, 300),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		host, guest := net.Pipe()
		server := NewServer(map[string]Handler{
			"echo": func(call *Call) {
				_ = call.Succeed(nil)
				_, _, _ = ReadFrame(call)
			},
		}, t.Logf)
		done := make(chan error, 1)
		go func() { done <- server.Serve(guest) }()
		deadline := time.Now().Add(time.Minute)
		_ = host.SetDeadline(deadline)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = host.Write(make([]byte, preambleBytes))
			_, _ = host.Write(content)
		}()
		_, _ = io.ReadFull(host, make([]byte, preambleBytes))
		go func() { _, _ = io.Copy(io.Discard, host) }()
		<-sent
		// A second preamble is recognised after any bytes.
		if _, err := host.Write(make([]byte, preambleBytes)); err != nil {
			t.Fatalf("the guest stopped reading: %v", err)
		}
		_ = host.Close()
		if err := <-done; err != nil {
			t.Fatalf("serve: %v", err)
		}
		server.Close(time.Minute)
		_ = guest.Close()
	})
}

// FuzzReadFrame reads frames from arbitrary bytes.
func FuzzReadFrame(f *testing.F) {
	f.Add(Frame(FrameStdin, []byte("abc")))
	f.Add([]byte{1, 0, 1, 0, 0})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, content []byte) {
		source := bytes.NewReader(content)
		for {
			kind, payload, err := ReadFrame(source)
			if err != nil {
				return
			}
			if !bytes.Contains(content, Frame(kind, payload)) {
				t.Fatalf("frame %d of %d bytes was not in what was read", kind, len(payload))
			}
		}
	})
}

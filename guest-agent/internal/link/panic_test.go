package link_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/linktest"
)

// faulty panics in its next read or write on request.
type faulty struct {
	net.Conn
	inRead, inWrite int32
}

func (f *faulty) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	if atomic.CompareAndSwapInt32(&f.inRead, 1, 0) {
		panic("a fault of the agent while it reads")
	}
	return n, err
}

func (f *faulty) Write(p []byte) (int, error) {
	if atomic.CompareAndSwapInt32(&f.inWrite, 1, 0) {
		panic("a fault of the agent while it writes")
	}
	return f.Conn.Write(p)
}

func TestAPanicEndsItsCallOrSessionAndTheNextHostIsServed(t *testing.T) {
	conn, theirs := net.Pipe()
	carrier := &faulty{Conn: theirs}
	server := link.NewServer(map[string]link.Handler{
		"ping":  func(call *link.Call) { _ = call.Succeed(map[string]interface{}{"pong": true}) },
		"crash": func(*link.Call) { panic("a fault of the agent in a call") },
	}, t.Logf)
	done := make(chan error, 1)
	go func() { done <- server.Serve(carrier) }()
	defer func() {
		_ = conn.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	}()

	host := linktest.NewHost(t, conn, 1)
	if answer := host.Call("crash", nil); answer["code"] != "internal" {
		t.Errorf("a call that panics: %v", answer)
	}
	answersPing(t, host)
	for nonce, fault := range map[byte]*int32{2: &carrier.inRead, 4: &carrier.inWrite} {
		// A stream is announced and accepted: a read and a write of the guest.
		atomic.StoreInt32(fault, 1)
		_, _ = host.Session.OpenStream()
		for deadline := time.Now().Add(linktest.Wait); atomic.LoadInt32(fault) != 0; {
			if time.Now().After(deadline) {
				t.Fatal("the fault was not met")
			}
		}
		_ = host.Session.Close()
		if err := conn.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		host = linktest.NewHost(t, conn, nonce)
		answersPing(t, host)
	}
}

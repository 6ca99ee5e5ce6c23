package link_test

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"guest-agent/internal/linktest"
)

type yamuxFrame struct {
	Name     string `json:"name"`
	From     string `json:"from"`
	Hex      string `json:"hex"`
	Version  byte   `json:"version"`
	Type     byte   `json:"type"`
	Flags    uint16 `json:"flags"`
	StreamID uint32 `json:"stream_id"`
	Length   uint32 `json:"length"`
	Payload  string `json:"payload_hex,omitempty"`
}

// tape records what one side sends, frame by frame.
type tape struct {
	net.Conn
	from string

	mu      sync.Mutex
	pending []byte
	frames  chan yamuxFrame
}

func (c *tape) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.Conn.Write(p)
	c.pending = append(c.pending, p[:n]...)
	for len(c.pending) >= 12 {
		header := c.pending[:12]
		frame := yamuxFrame{
			From:     c.from,
			Version:  header[0],
			Type:     header[1],
			Flags:    binary.BigEndian.Uint16(header[2:]),
			StreamID: binary.BigEndian.Uint32(header[4:]),
			Length:   binary.BigEndian.Uint32(header[8:]),
		}
		size := 12
		if frame.Type == 0 {
			size += int(frame.Length)
		}
		if len(c.pending) < size {
			break
		}
		frame.Hex = hex.EncodeToString(c.pending[:size])
		frame.Payload = hex.EncodeToString(c.pending[12:size])
		if frame.Type == 0 && frame.Length > 1024 {
			// The receiver needs such frames only to use up its window.
			frame.Hex, frame.Payload = "", ""
		}
		c.pending = c.pending[size:]
		c.frames <- frame
	}
	return n, err
}

// play runs both ends of the real library against each other and records their frames under the script's
// names.
type play struct {
	t              *testing.T
	host, guest    *tape
	client, server *yamux.Session
	frames         []yamuxFrame
}

func newPlay(t *testing.T) *play {
	hostConn, guestConn := net.Pipe()
	p := &play{
		t:     t,
		host:  &tape{Conn: hostConn, from: "host", frames: make(chan yamuxFrame, 64)},
		guest: &tape{Conn: guestConn, from: "guest", frames: make(chan yamuxFrame, 64)},
	}
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.StreamCloseTimeout = 0
	config.LogOutput = io.Discard
	config.AcceptBacklog = 2
	var err error
	if p.client, err = yamux.Client(p.host, config); err != nil {
		t.Fatal(err)
	}
	if p.server, err = yamux.Server(p.guest, config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.client.Close()
		_ = p.server.Close()
	})
	return p
}

// sent waits for the next frame of one side.
func (p *play) sent(by *tape, name string) {
	p.t.Helper()
	select {
	case frame := <-by.frames:
		frame.Name = name
		p.frames = append(p.frames, frame)
	case <-time.After(linktest.Wait):
		p.t.Fatalf("%s did not send: %s", by.from, name)
	}
}

func (p *play) ok(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func TestGoldenYamuxFrames(t *testing.T) {
	p := newPlay(t)
	fromHost, err := p.client.OpenStream()
	p.ok(err)
	p.sent(p.host, "host opens a stream")
	_, err = fromHost.Write([]byte("hello"))
	p.ok(err)
	p.sent(p.host, "data")
	atGuest, err := p.server.AcceptStream()
	p.ok(err)
	p.sent(p.guest, "guest accepts the stream")
	_, err = atGuest.Write([]byte("world!"))
	p.ok(err)
	p.sent(p.guest, "data back")
	p.windowUpdate(fromHost, atGuest)
	p.ok(atGuest.Close())
	p.sent(p.guest, "guest ends its side")
	p.ok(fromHost.Close())
	p.sent(p.host, "host ends its side")

	fromGuest, err := p.server.OpenStream()
	p.ok(err)
	p.sent(p.guest, "guest opens a stream")
	atHost, err := p.client.AcceptStream()
	p.ok(err)
	p.sent(p.host, "host accepts the stream")
	p.ok(fromGuest.Close())
	p.sent(p.guest, "guest ends its stream")
	p.ok(atHost.Close())
	p.sent(p.host, "host ends the guest's stream")

	_, err = p.client.Ping()
	p.ok(err)
	p.sent(p.host, "ping")
	p.sent(p.guest, "ping answered")
	p.refusal()
	p.ok(p.server.GoAway())
	p.sent(p.guest, "go away")
	isGolden(t, "yamux.json", p.frames)
}

// windowUpdate makes the guest read more than half of its window.
func (p *play) windowUpdate(fromHost, atGuest *yamux.Stream) {
	const size = 200 << 10
	_, err := fromHost.Write(make([]byte, size))
	p.ok(err)
	<-p.host.frames
	p.ok(atGuest.SetReadDeadline(time.Now().Add(linktest.Wait)))
	// A single read takes everything, so there is one window update for all of it.
	_, err = p.server.Ping()
	p.ok(err)
	<-p.guest.frames
	<-p.host.frames
	n, err := atGuest.Read(make([]byte, size+5))
	if err != nil || n != size+5 {
		p.t.Fatalf("read %d bytes, %v", n, err)
	}
	p.sent(p.guest, "window update")
}

// refusal makes the host open more streams than the guest accepts.
func (p *play) refusal() {
	for i := 0; i < 2; i++ {
		_, err := p.client.OpenStream()
		p.ok(err)
		<-p.host.frames
	}
	// The library limits its own streams; a further one needs a hand-made frame.
	header := make([]byte, 12)
	header[1], header[3], header[7] = 1, 1, 99
	_, err := p.host.Write(header)
	p.ok(err)
	<-p.host.frames
	p.sent(p.guest, "guest refuses a stream")
}

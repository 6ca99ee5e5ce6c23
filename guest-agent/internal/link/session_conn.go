package link

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	headerBytes = 12
	typeData    = 0
)

// sessionConn is the carrier as seen by one yamux session. It ends when the host disconnects or requests a
// new session, and reports which streams the host has ended.
type sessionConn struct {
	carrier Carrier
	door    *doorkeeper
	ends    *streamEnds

	// rest is read before the carrier; only the session's reader uses it.
	rest []byte
	// next is the request that ended this session; valid once the session has closed.
	next *preamble
	// frame holds a data frame's header until its body is written; only the session's writer uses it. It is
	// reused, because under emulation allocating costs more than copying.
	frame []byte

	closeOnce sync.Once
}

func newSessionConn(carrier Carrier, door *doorkeeper, rest []byte) *sessionConn {
	return &sessionConn{carrier: carrier, door: door, ends: newStreamEnds(), rest: rest}
}

// Read returns io.EOF when the host has disconnected or started a new session. yamux reads into 4096 bytes or
// more.
func (c *sessionConn) Read(p []byte) (n int, err error) {
	defer recoverAsError("read", &err)
	if len(c.rest) > 0 {
		n := copy(p, c.rest)
		c.rest = c.rest[n:]
		c.ends.scan(p[:n])
		return n, nil
	}
	n, err = c.carrier.Read(p)
	if request, ok := c.door.match(p[:n]); ok {
		c.next = request
		return 0, io.EOF
	}
	c.ends.scan(p[:n])
	return n, err
}

// Write joins a data frame's header, which yamux writes separately, with its body: every write to a virtio
// port wakes the host.
func (c *sessionConn) Write(p []byte) (n int, err error) {
	defer recoverAsError("write", &err)
	if len(c.frame) == 0 && isDataHeader(p) {
		c.frame = append(c.frame, p...)
		return len(p), nil
	}
	if len(c.frame) == 0 {
		return c.carrier.Write(p)
	}
	c.frame = append(c.frame, p...)
	n, err = c.carrier.Write(c.frame)
	c.frame = c.frame[:0]
	if n -= headerBytes; n < 0 {
		n = 0
	}
	return n, err
}

// recoverAsError turns a panic into an error: yamux calls us in its own goroutines, where a panic would end
// the guest.
func recoverAsError(doing string, err *error) {
	if fault := recover(); fault != nil {
		*err = fmt.Errorf("%s the carrier: panic: %v", doing, fault)
	}
}

func isDataHeader(p []byte) bool {
	return len(p) == headerBytes && p[1] == typeData && binary.BigEndian.Uint32(p[8:12]) > 0
}

// Close interrupts a blocked read and write. The carrier stays open for the next session.
func (c *sessionConn) Close() error {
	var err error
	c.closeOnce.Do(func() { err = c.carrier.SetDeadline(time.Unix(1, 0)) })
	return err
}

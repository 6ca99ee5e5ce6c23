package link

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

const (
	// TokenBytes is the length of the secret a host shows at the start of each connection.
	TokenBytes = 32
	// NonceBytes is the length of the number a host wants to see again in the answer.
	NonceBytes = 16

	preambleBytes = TokenBytes + NonceBytes
	// A read with less room could split a carrier's buffer and make its second half look like the start of one.
	readBytesMin = 4096
	// An answer to a host that has gone away must not hold up the next host.
	answerWait = 10 * time.Second
)

// Carrier is the byte pipe to the host. A read after io.EOF either waits for the next host (a virtio port) or
// returns io.EOF again (a socket). A deadline in the past ends a blocked Read or Write.
type Carrier interface {
	io.ReadWriter
	SetDeadline(t time.Time) error
}

// Acknowledgement is what a guest that owns token answers, followed by the nonce.
func Acknowledgement(token []byte) []byte {
	sum := sha256.Sum256(append(append([]byte{}, token...), "ack"...))
	return sum[:]
}

// preamble is a host's request for a new session.
type preamble struct {
	nonce []byte
	// rest is what the host sent in the same buffer after the nonce.
	rest []byte
}

// doorkeeper knows this guest's token: the first one it is shown, until the host of that one names another.
type doorkeeper struct {
	mu    sync.Mutex
	token []byte
}

func (d *doorkeeper) rekey(token []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.token = append([]byte{}, token...)
}

func (d *doorkeeper) acknowledgement() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Acknowledgement(d.token)
}

// match tells whether p, the whole of one read, begins with a preamble of this guest's host.
func (d *doorkeeper) match(p []byte) (*preamble, bool) {
	if len(p) < preambleBytes {
		return nil, false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.token == nil {
		d.token = append([]byte{}, p[:TokenBytes]...)
	}
	if subtle.ConstantTimeCompare(p[:TokenBytes], d.token) != 1 {
		return nil, false
	}
	return &preamble{
		nonce: append([]byte{}, p[TokenBytes:preambleBytes]...),
		rest:  append([]byte{}, p[preambleBytes:]...),
	}, true
}

// await discards what it reads until a read begins with a preamble.
func (d *doorkeeper) await(carrier Carrier) (*preamble, error) {
	buf := make([]byte, readBytesMin)
	for {
		n, err := carrier.Read(buf)
		if request, ok := d.match(buf[:n]); ok {
			return request, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// answer accepts the preamble.
func (d *doorkeeper) answer(carrier Carrier, request *preamble) error {
	if err := carrier.SetDeadline(time.Now().Add(answerWait)); err != nil {
		return err
	}
	_, err := carrier.Write(append(d.acknowledgement(), request.nonce...))
	if resetErr := carrier.SetDeadline(time.Time{}); err == nil {
		err = resetErr
	}
	return err
}

// isHangUp tells of a host that went away, with or without reading all it was sent.
func isHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

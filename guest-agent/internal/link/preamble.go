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
	// TokenBytes is the length of the secret that a host sends at the start of each connection.
	TokenBytes = 32
	// NonceBytes is the length of the number that the answer must repeat.
	NonceBytes = 16

	preambleBytes = TokenBytes + NonceBytes
	// A read into less space could split a carrier's buffer and make its second half look like the start of one.
	readBytesMin = 4096
	// Answering a host that has left must not delay the next host.
	answerWait = 10 * time.Second
)

// Carrier is the byte pipe to the host. After io.EOF, a read either waits for the next host (virtio port) or
// returns io.EOF again (socket). A deadline in the past ends a blocked Read or Write.
type Carrier interface {
	io.ReadWriter
	SetDeadline(t time.Time) error
}

// Acknowledgement is the part of a guest's answer that precedes the nonce.
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

// doorkeeper knows this guest's token: the first one it receives, until the host replaces it.
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

// match reports whether p, the whole of one read, begins with a preamble of this guest's host.
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

// await discards input until a read begins with a preamble.
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

// isHangUp reports that the host has disconnected, with or without reading everything.
func isHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

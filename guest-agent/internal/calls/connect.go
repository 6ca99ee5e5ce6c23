package calls

import (
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	"guest-agent/internal/files"
	"guest-agent/internal/guard"
	"guest-agent/internal/link"
)

const (
	connectWait    = 10 * time.Second
	connectWaitMax = time.Minute
	// How long a program may take to read what the host sent before it left.
	lastInputWait = 10 * time.Second
)

// The guest's own addresses. A program that listens on any address is reached by the first or the second.
var ownAddresses = []string{"127.0.0.1", "::1"}

// connect carries a TCP connection to a port of this guest: the host's data goes to the program that listens, and what the
// program sends comes as data, until its end frame. Each direction ends by itself.
func (a *Agent) connect(call *link.Call) {
	arguments := struct {
		Port      int   `json:"port"`
		TimeoutMs int64 `json:"timeout_ms"`
	}{TimeoutMs: connectWait.Milliseconds()}
	if !call.Arguments(&arguments) {
		return
	}
	if arguments.Port < 1 || arguments.Port > 65535 {
		call.Fail(link.CodeInvalid, "port must be between 1 and 65535")
		return
	}
	wait := time.Duration(arguments.TimeoutMs) * time.Millisecond
	if wait <= 0 || wait > connectWaitMax {
		wait = connectWaitMax
	}
	peer, err := dialOwn(arguments.Port, wait)
	if err != nil {
		code, reason := connectRefusal(err, arguments.Port)
		call.Fail(code, reason)
		return
	}
	defer peer.Close()
	if call.Succeed(nil) != nil {
		return
	}
	done := make(chan struct{})
	defer close(done)
	sent := make(chan struct{})
	// The host has left, so nobody reads. What it sent before still goes to the program, as TCP promises.
	onEnded(call, done, a.log, func() {
		select {
		case <-sent:
		case <-time.After(lastInputWait):
		}
		_ = peer.Close()
	})

	guard.Go("input of a connection", a.log, func() {
		defer close(sent)
		if _, err := io.Copy(peer, &upload{call: call}); err != nil {
			_ = peer.Close()
			return
		}
		_ = peer.CloseWrite()
	})
	_, err = io.Copy(&download{call: call, frame: make([]byte, link.FrameHeaderBytes+outputBytesMax)}, onlyReader{peer})
	end(call, connectionError(err), nil)
	if err != nil {
		return
	}
	// The program has ended its output, and may go on reading.
	<-sent
}

// onlyReader hides that a connection can write itself to another one, in pieces that suit no frame.
type onlyReader struct{ io.Reader }

func dialOwn(port int, wait time.Duration) (*net.TCPConn, error) {
	deadline := time.Now().Add(wait)
	var first error
	for _, address := range ownAddresses {
		dialer := net.Dialer{Deadline: deadline, KeepAlive: -1}
		peer, err := dialer.Dial("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
		if err == nil {
			return peer.(*net.TCPConn), nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func connectRefusal(err error, port int) (link.Code, string) {
	where := "port " + strconv.Itoa(port)
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return link.CodeConflict, "nothing listens on " + where
	case errors.As(err, &timeout) && timeout.Timeout():
		return link.CodeConflict, "the program on " + where + " does not accept connections"
	default:
		return link.CodeInternal, "connect to " + where + ": " + err.Error()
	}
}

// connectionError is what the end frame says: nil when the program has ended its output.
func connectionError(err error) error {
	if err == nil {
		return nil
	}
	return &files.Error{Kind: files.Conflict, Message: "the program has broken the connection"}
}

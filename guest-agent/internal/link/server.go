// Package link is the guest's end of the guest link: the preamble, the yamux session, and calls as lines of
// JSON. It knows nothing about the meaning of calls. The protocol is specified in src/guest/protocol.ts.
package link

import (
	"io"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"guest-agent/internal/guard"
)

const (
	// ProtocolVersion is the newest version that this agent supports, ProtocolVersionMin the oldest.
	ProtocolVersion    = 2
	ProtocolVersionMin = 2

	callsMax = 512
	// A session whose carrier accepts nothing for this long has no host; a new one begins with a preamble.
	writeWait = 2 * time.Minute
	// Limit for receiving a stream's call line.
	lineWait = 30 * time.Second
)

// Handler serves one call. The stream is closed when it returns.
type Handler func(call *Call)

// Server answers the calls of the host that holds the carrier.
type Server struct {
	handlers map[string]Handler
	log      guard.Log
	slots    chan struct{}
	door     doorkeeper

	mu      sync.Mutex
	current *yamux.Session
	calls   sync.WaitGroup
	closed  bool
}

// NewServer serves the named calls; log receives failures of the link itself.
func NewServer(handlers map[string]Handler, log guard.Log) *Server {
	return &Server{handlers: handlers, log: log, slots: make(chan struct{}, callsMax)}
}

// Serve runs one session after another until the carrier ends or fails. It never returns for a carrier that
// waits for its next host by itself.
func (s *Server) Serve(carrier Carrier) error {
	var request *preamble
	for {
		if request == nil {
			next, err := s.door.await(carrier)
			if isHangUp(err) {
				return nil
			}
			if err != nil {
				return err
			}
			request = next
		}
		if err := s.door.answer(carrier, request); err != nil {
			if !isTimeout(err) && !isHangUp(err) {
				return err
			}
			request = nil
			continue
		}
		next, err := s.session(carrier, request.rest)
		if err != nil {
			return err
		}
		request = next
	}
}

// session serves one yamux session and returns the preamble that ended it, if one did.
func (s *Server) session(carrier Carrier, rest []byte) (next *preamble, err error) {
	conn := newSessionConn(carrier, &s.door, rest)
	session, err := yamux.Server(conn, sessionConfig())
	if err != nil {
		return nil, err
	}
	s.setCurrent(session)
	defer func() {
		// The session may be closing in one of its own goroutines; this waits until it no longer uses the carrier.
		_ = session.Close()
		s.setCurrent(nil)
		conn.ends.endAll()
		// An unusable carrier reports that at its next read.
		_ = carrier.SetDeadline(time.Time{})
		next = conn.next
	}()
	for !session.IsClosed() {
		stream, err := session.AcceptStream()
		if err == nil && s.admit() {
			call := &Call{stream: stream, ended: conn.ends.of(stream.StreamID()), lines: newLineReader(stream)}
			guard.Go("call", s.log, func() { s.serve(call, conn.ends) })
		}
	}
	return nil, nil
}

// Rekey replaces the guest's token: the old one opens no more sessions, but the current session continues.
func (s *Server) Rekey(token []byte) { s.door.rekey(token) }

// Close ends the session and waits for its calls, at most for wait. No call is served afterwards.
func (s *Server) Close(wait time.Duration) {
	s.mu.Lock()
	s.closed = true
	session := s.current
	s.mu.Unlock()
	if session != nil {
		_ = session.Close()
	}
	over := make(chan struct{})
	guard.Go("close the link", s.log, func() {
		s.calls.Wait()
		close(over)
	})
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
	}
}

// admit counts a call that is about to be served.
func (s *Server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.calls.Add(1)
	}
	return !s.closed
}

func (s *Server) setCurrent(session *yamux.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = session
}

func sessionConfig() *yamux.Config {
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.StreamCloseTimeout = 0
	config.StreamOpenTimeout = 0
	config.ConnectionWriteTimeout = writeWait
	config.LogOutput = io.Discard
	return config
}

func (s *Server) serve(call *Call, ends *streamEnds) {
	defer s.calls.Done()
	defer ends.forget(call.stream.StreamID())
	// The call is over, even if something still reads the stream.
	defer call.stopReading()
	defer call.stream.Close()
	defer func() {
		if fault := recover(); fault != nil {
			s.log("call %q failed: %v", call.Name, fault)
			call.Fail(CodeInternal, "the guest agent failed in this call")
		}
	}()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		call.Fail(CodeInternal, "too many calls at once")
		return
	}
	if !call.readRequest() {
		return
	}
	handler, ok := s.handlers[call.Name]
	if !ok {
		call.Fail(CodeUnsupported, "no such call: "+call.Name)
		return
	}
	handler(call)
}

package link

import (
	"encoding/binary"
	"sync"
)

const (
	flagSyn = 1
	flagFin = 4
	flagRst = 8

	// More streams are never open at once; the end of further ones is only noticed by reading.
	watchedStreamsMax = 4096
)

// streamEnds parses the frame headers from the host and reports when the host has ended a stream. yamux
// reports an end only to a reader that has read all data before it, and a call that waits for its program to
// read standard input does not read.
type streamEnds struct {
	mu    sync.Mutex
	ended map[uint32]chan struct{}
	over  bool

	header [headerBytes]byte
	have   int
	skip   uint32
}

func newStreamEnds() *streamEnds {
	return &streamEnds{ended: map[uint32]chan struct{}{}}
}

// scan takes the next bytes from the host. Only the session's reader calls it.
func (s *streamEnds) scan(p []byte) {
	for len(p) > 0 {
		if s.skip > 0 {
			n := uint32(len(p))
			if uint64(len(p)) > uint64(s.skip) {
				n = s.skip
			}
			s.skip -= n
			p = p[n:]
			continue
		}
		n := copy(s.header[s.have:], p)
		s.have += n
		p = p[n:]
		if s.have == headerBytes {
			s.have = 0
			s.frame()
		}
	}
}

func (s *streamEnds) frame() {
	flags := binary.BigEndian.Uint16(s.header[2:4])
	id := binary.BigEndian.Uint32(s.header[4:8])
	if s.header[1] == typeData {
		s.skip = binary.BigEndian.Uint32(s.header[8:12])
	}
	if flags&(flagSyn|flagFin|flagRst) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.ended[id]; !known && flags&flagSyn != 0 && len(s.ended) < watchedStreamsMax && !s.over {
		s.ended[id] = make(chan struct{})
	}
	if flags&(flagFin|flagRst) != 0 {
		s.closeLocked(id)
	}
}

func (s *streamEnds) closeLocked(id uint32) {
	ended, ok := s.ended[id]
	if !ok {
		return
	}
	select {
	case <-ended:
	default:
		close(ended)
	}
}

// of returns the channel that closes when the host ends the stream or the session is over.
func (s *streamEnds) of(id uint32) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended, ok := s.ended[id]
	if !ok {
		ended = make(chan struct{})
		s.ended[id] = ended
		if s.over {
			close(ended)
		}
	}
	return ended
}

// forget removes a stream whose call is over.
func (s *streamEnds) forget(id uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ended, id)
}

// endAll ends all streams of the session.
func (s *streamEnds) endAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for id := range s.ended {
		s.closeLocked(id)
	}
}

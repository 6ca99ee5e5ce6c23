package commands

import (
	"sort"
	"sync"
)

// Stream is the output to which a command wrote.
type Stream byte

// The outputs.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

const (
	// The largest piece; a frame carries as much.
	pieceBytesMax = 64 << 10
	// Counted in addition to a piece's bytes, so that a program that alternates single bytes cannot exceed its
	// ring.
	pieceCost = 64
	// RingBytesMin allows one piece to wait while another is sent.
	RingBytesMin = 2 * (pieceBytesMax + pieceCost)
)

// ring keeps the last bytes that a command wrote to both outputs, in order. An offset counts the bytes of
// both since the start. While there is a reader, nothing is dropped that it has not taken: the command waits
// (backpressure). Without readers, the oldest bytes are dropped, and a later reader learns how many were
// lost.
type ring struct {
	mu       sync.Mutex
	capacity int
	pieces   []piece
	cost     int
	// Bytes from first to next are kept.
	first, next int64
	// written counts the bytes of each stream since the start.
	written  [Stderr + 1]int64
	readers  map[*Reader]struct{}
	isClosed bool
	// changed is closed and replaced when a waiting reader or writer should check again.
	changed chan struct{}
}

type piece struct {
	stream Stream
	offset int64
	data   []byte
}

func newRing(capacity int) *ring {
	if capacity < RingBytesMin {
		capacity = RingBytesMin
	}
	return &ring{capacity: capacity, readers: map[*Reader]struct{}{}, changed: make(chan struct{})}
}

// write appends bytes; it waits while readers hold what would have to be dropped.
func (r *ring) write(stream Stream, data []byte) {
	for len(data) > 0 {
		part := data
		if len(part) > pieceBytesMax {
			part = part[:pieceBytesMax]
		}
		data = data[len(part):]
		r.mu.Lock()
		for !r.makeRoom(len(part) + pieceCost) {
			changed := r.changed
			r.mu.Unlock()
			<-changed
			r.mu.Lock()
		}
		r.append(stream, part)
		r.wake()
		r.mu.Unlock()
	}
}

func (r *ring) append(stream Stream, data []byte) {
	if last := len(r.pieces) - 1; last >= 0 && r.pieces[last].stream == stream && len(r.pieces[last].data)+len(data) <= pieceBytesMax {
		r.pieces[last].data = append(r.pieces[last].data, data...)
	} else {
		r.pieces = append(r.pieces, piece{stream: stream, offset: r.next, data: append([]byte(nil), data...)})
		r.cost += pieceCost
	}
	r.cost += len(data)
	r.next += int64(len(data))
	r.written[stream] += int64(len(data))
}

// makeRoom drops the oldest pieces until size more bytes fit; false when a reader holds one of them.
func (r *ring) makeRoom(size int) bool {
	held := r.next
	for reader := range r.readers {
		if reader.taken < held {
			held = reader.taken
		}
	}
	for r.cost+size > r.capacity && len(r.pieces) > 0 {
		oldest := &r.pieces[0]
		excess := r.cost + size - r.capacity
		if room := held - oldest.offset; room <= 0 {
			return false
		} else if excess >= len(oldest.data) || int64(excess) > room {
			if room < int64(len(oldest.data)) {
				return false
			}
			r.cost -= len(oldest.data) + pieceCost
			r.pieces[0] = piece{}
			r.pieces = r.pieces[1:]
		} else {
			oldest.data = oldest.data[excess:]
			oldest.offset += int64(excess)
			r.cost -= excess
		}
		r.first = r.next
		if len(r.pieces) > 0 {
			r.first = r.pieces[0].offset
		}
	}
	return true
}

func (r *ring) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// close marks the end of the output.
func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isClosed = true
	r.wake()
}

// Bounds tells which output is kept, and how much each stream had in total.
type Bounds struct {
	// First is the offset of the first kept byte, Next that of the next one to be written.
	First, Next    int64
	Stdout, Stderr int64
}

func (r *ring) bounds() Bounds {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Bounds{First: r.first, Next: r.next, Stdout: r.written[Stdout], Stderr: r.written[Stderr]}
}

// before counts the bytes of a stream before a kept offset.
func (r *ring) before(stream Stream, offset int64) int64 {
	count := r.written[stream]
	for i := len(r.pieces) - 1; i >= 0 && r.pieces[i].offset+int64(len(r.pieces[i].data)) > offset; i-- {
		if piece := r.pieces[i]; piece.stream != stream {
			continue
		} else if piece.offset >= offset {
			count -= int64(len(piece.data))
		} else {
			count -= piece.offset + int64(len(piece.data)) - offset
		}
	}
	return count
}

// hasReaders reports whether there is a reader.
func (r *ring) hasReaders() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.readers) > 0
}

// Reader reads a command's output from an offset on. Only one goroutine reads; others may call Taken and
// Close.
type Reader struct {
	ring *ring
	// next is the offset of the next byte to read, taken that of the first byte it still holds.
	next, taken int64
	// From tells what was kept when it started, and how much of each stream came before what it reads.
	From Bounds
}

// reader starts at offset; false when that is beyond what was written.
func (r *ring) reader(offset int64) (*Reader, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if offset < 0 || offset > r.next {
		return nil, false
	}
	reader := &Reader{ring: r, next: offset, taken: offset, From: Bounds{First: r.first, Next: r.next}}
	start := offset
	if start < r.first {
		start = r.first
	}
	reader.From.Stdout, reader.From.Stderr = r.before(Stdout, start), r.before(Stderr, start)
	r.readers[reader] = struct{}{}
	return reader, true
}

// Output is the result of one Read.
type Output struct {
	// Lost is how many bytes before these were dropped.
	Lost int64
	// Stream and N describe what was read; N is 0 when only a loss is reported.
	Stream Stream
	N      int
}

// Read copies bytes of one stream into buffer. It waits for more output; done ends the wait. ok is false at
// the end of the output, or when done was closed.
func (r *Reader) Read(buffer []byte, done <-chan struct{}) (output Output, ok bool) {
	for {
		output, state, changed := r.look(buffer)
		switch state {
		case lookFound:
			return output, true
		case lookEnded:
			return Output{}, false
		}
		select {
		case <-changed:
		case <-done:
			return Output{}, false
		}
	}
}

type lookState int

const (
	lookNothing lookState = iota
	lookFound
	lookEnded
)

func (r *Reader) look(buffer []byte) (output Output, state lookState, changed <-chan struct{}) {
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()
	pieces := r.ring.pieces
	if r.next < r.ring.first {
		output.Lost = r.ring.first - r.next
		r.next = r.ring.first
		return output, lookFound, nil
	}
	if r.next == r.ring.next {
		if r.ring.isClosed {
			return output, lookEnded, nil
		}
		return output, lookNothing, r.ring.changed
	}
	// The last piece that begins at or before the offset.
	index := sort.Search(len(pieces), func(i int) bool { return pieces[i].offset > r.next }) - 1
	found := pieces[index]
	output.Stream = found.stream
	output.N = copy(buffer, found.data[r.next-found.offset:])
	r.next += int64(output.N)
	return output, lookFound, nil
}

// Next is the offset of the next byte to read. Only the reading goroutine may call it.
func (r *Reader) Next() int64 { return r.next }

// Taken releases the bytes before offset.
func (r *Reader) Taken(offset int64) {
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()
	if offset > r.taken && offset <= r.next {
		r.taken = offset
		r.ring.wake()
	}
}

// Close releases everything that the reader holds.
func (r *Reader) Close() {
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()
	delete(r.ring.readers, r)
	r.ring.wake()
}

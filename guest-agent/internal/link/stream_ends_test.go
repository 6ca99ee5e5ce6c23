package link

import (
	"encoding/binary"
	"testing"
)

func frame(kind byte, flags uint16, id, length uint32) []byte {
	header := make([]byte, headerBytes)
	header[1] = kind
	binary.BigEndian.PutUint16(header[2:], flags)
	binary.BigEndian.PutUint32(header[4:], id)
	binary.BigEndian.PutUint32(header[8:], length)
	if kind == typeData {
		header = append(header, make([]byte, length)...)
	}
	return header
}

func isClosed(channel <-chan struct{}) bool {
	select {
	case <-channel:
		return true
	default:
		return false
	}
}

func TestStreamEndsAreSeenWhereverTheBytesAreSplit(t *testing.T) {
	var bytes []byte
	for _, part := range [][]byte{
		frame(1, flagSyn, 1, 0), frame(1, flagSyn, 3, 0), frame(1, flagSyn, 5, 0),
		frame(typeData, 0, 1, 100), frame(2, flagSyn, 0, 0xffffffff), frame(typeData, flagFin, 3, 7), frame(1, flagRst, 5, 0),
		frame(1, flagFin, 99, 0),
	} {
		bytes = append(bytes, part...)
	}
	for size := 1; size <= len(bytes); size++ {
		ends := newStreamEnds()
		for rest := bytes; len(rest) > 0; {
			n := size
			if n > len(rest) {
				n = len(rest)
			}
			ends.scan(rest[:n])
			rest = rest[n:]
		}
		if isClosed(ends.of(1)) || !isClosed(ends.of(3)) || !isClosed(ends.of(5)) {
			t.Fatalf("cut in %d: 1 %v, 3 %v, 5 %v", size, isClosed(ends.of(1)), isClosed(ends.of(3)), isClosed(ends.of(5)))
		}
	}
}

func TestAllStreamsEndWithTheSession(t *testing.T) {
	ends := newStreamEnds()
	ends.scan(frame(1, flagSyn, 1, 0))
	early := ends.of(1)
	ends.endAll()
	if !isClosed(early) || !isClosed(ends.of(3)) {
		t.Error("a stream outlives its session")
	}
}

func TestWatchedStreamsAreBounded(t *testing.T) {
	ends := newStreamEnds()
	for id := uint32(1); id < 3*watchedStreamsMax; id += 2 {
		ends.scan(frame(1, flagSyn, id, 0))
	}
	if len(ends.ended) > watchedStreamsMax {
		t.Errorf("%d streams are watched", len(ends.ended))
	}
}

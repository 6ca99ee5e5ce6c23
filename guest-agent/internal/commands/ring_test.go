package commands

import (
	"bytes"
	"testing"
	"time"
)

const testWait = 30 * time.Second

func readAll(t *testing.T, ring *ring, offset int64) (content []byte, lost int64) {
	t.Helper()
	reader, ok := ring.reader(offset)
	if !ok {
		t.Fatalf("no reader at %d", offset)
	}
	defer reader.Close()
	buffer := make([]byte, 1000)
	for {
		output, ok := reader.Read(buffer, nil)
		if !ok {
			return content, lost
		}
		lost += output.Lost
		content = append(content, buffer[:output.N]...)
		reader.Taken(reader.Next())
	}
}

func pattern(from, count int) []byte {
	content := make([]byte, count)
	for i := range content {
		content[i] = byte((from + i) % 251)
	}
	return content
}

func TestWithoutReadersTheOldestBytesAreDroppedAndReported(t *testing.T) {
	ring := newRing(0)
	total := 0
	for _, size := range []int{1, 70000, 3, 65536, 40000, 20000, 9} {
		ring.write(Stdout, pattern(total, size))
		total += size
	}
	ring.close()
	bounds := ring.bounds()
	first, next := bounds.First, bounds.Next
	if next != int64(total) || first == 0 || next-first > RingBytesMin {
		t.Fatalf("%d to %d of %d bytes are kept", first, next, total)
	}
	content, lost := readAll(t, ring, 0)
	if lost != first || !bytes.Equal(content, pattern(int(first), total-int(first))) {
		t.Errorf("%d bytes read and %d lost, want those from %d on", len(content), lost, first)
	}
	content, lost = readAll(t, ring, next-5)
	if lost != 0 || !bytes.Equal(content, pattern(total-5, 5)) {
		t.Errorf("the last five bytes read as %v, %d lost", content, lost)
	}
}

func TestAReaderLosesNothingAndMakesTheWriterWait(t *testing.T) {
	ring := newRing(0)
	reader, _ := ring.reader(0)
	const size = 10 * RingBytesMin
	wrote := make(chan struct{})
	go func() {
		for at := 0; at < size; at += 1000 {
			ring.write(Stdout, pattern(at, 1000))
		}
		ring.close()
		close(wrote)
	}()
	var content []byte
	buffer := make([]byte, 4096)
	for {
		output, ok := reader.Read(buffer, nil)
		if !ok {
			break
		}
		content = append(content, buffer[:output.N]...)
		if first := ring.bounds().First; first > reader.taken {
			t.Fatalf("byte %d is gone, though %d is all that was taken", first, reader.taken)
		}
		reader.Taken(reader.Next())
	}
	<-wrote
	if want := pattern(0, (size+999)/1000*1000); !bytes.Equal(content, want) {
		t.Errorf("%d bytes came, want %d as they were written", len(content), len(want))
	}
}

func TestAReaderThatLeavesReleasesTheWriter(t *testing.T) {
	ring := newRing(0)
	reader, _ := ring.reader(0)
	wrote := make(chan struct{})
	go func() {
		ring.write(Stdout, make([]byte, 4*RingBytesMin))
		close(wrote)
	}()
	select {
	case <-wrote:
		t.Fatal("written over what a reader has not taken")
	case <-time.After(50 * time.Millisecond):
	}
	reader.Close()
	select {
	case <-wrote:
	case <-time.After(testWait):
		t.Fatal("the writer waits for nobody")
	}
}

func TestSingleBytesOfBothStreamsStayWithinTheRing(t *testing.T) {
	ring := newRing(0)
	for i := 0; i < 100000; i++ {
		ring.write(Stdout, []byte{'o'})
		ring.write(Stderr, []byte{'e'})
	}
	if ring.cost > ring.capacity || len(ring.pieces) > ring.capacity/pieceCost {
		t.Errorf("%d pieces cost %d of %d", len(ring.pieces), ring.cost, ring.capacity)
	}
}

func TestAnOffsetThatWasNotWrittenYetIsRefused(t *testing.T) {
	ring := newRing(0)
	ring.write(Stdout, []byte("abc"))
	for offset, want := range map[int64]bool{-1: false, 0: true, 3: true, 4: false} {
		if _, ok := ring.reader(offset); ok != want {
			t.Errorf("a reader at %d: %v, want %v", offset, ok, want)
		}
	}
}

func TestOutputKeepsItsOrderAndItsStream(t *testing.T) {
	ring := newRing(0)
	reader, _ := ring.reader(0)
	ring.write(Stdout, []byte("a"))
	ring.write(Stderr, []byte("b"))
	ring.write(Stdout, []byte("cd"))
	ring.close()
	buffer := make([]byte, 10)
	for _, want := range []struct {
		stream Stream
		text   string
	}{{Stdout, "a"}, {Stderr, "b"}, {Stdout, "cd"}} {
		output, ok := reader.Read(buffer, nil)
		if !ok || output.Stream != want.stream || string(buffer[:output.N]) != want.text {
			t.Errorf("read %d %q, want %d %q", output.Stream, buffer[:output.N], want.stream, want.text)
		}
	}
}

func TestAReaderKnowsHowMuchOfEachStreamCameBefore(t *testing.T) {
	ring := newRing(0)
	ring.write(Stdout, make([]byte, 100000))
	ring.write(Stderr, make([]byte, 5))
	ring.write(Stdout, make([]byte, 50000))
	first := ring.bounds().First
	if first == 0 || first >= 100000 {
		t.Fatalf("%d bytes are dropped", first)
	}
	for offset, want := range map[int64]Bounds{
		0:      {first, 150005, first, 0},
		first:  {first, 150005, first, 0},
		99999:  {first, 150005, 99999, 0},
		100002: {first, 150005, 100000, 2},
		100005: {first, 150005, 100000, 5},
		100006: {first, 150005, 100001, 5},
		150005: {first, 150005, 150000, 5},
	} {
		reader, ok := ring.reader(offset)
		if !ok || reader.From != want {
			t.Errorf("from %d: %v, want %v", offset, reader.From, want)
		}
	}
}

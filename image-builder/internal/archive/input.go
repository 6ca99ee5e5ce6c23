package archive

import "io"

const (
	headerBytes = 512
	// Two empty headers end an archive.
	endBytes = 2 * headerBytes
)

// input is the stream of an archive, counted; it remembers what was read last.
type input struct {
	stream io.Reader
	// bytes read so far.
	bytes int64
	last  [endBytes]byte
	// over is called with the count after each read, and ends the reading by its error.
	over func(bytes int64) error
}

func (i *input) Read(buffer []byte) (int, error) {
	n, err := i.stream.Read(buffer)
	i.bytes += int64(n)
	i.remember(buffer[:n])
	if over := i.over(i.bytes); over != nil {
		return n, over
	}
	return n, err
}

func (i *input) remember(data []byte) {
	if len(data) >= endBytes {
		copy(i.last[:], data[len(data)-endBytes:])
		return
	}
	copy(i.last[:], i.last[len(data):])
	copy(i.last[endBytes-len(data):], data)
}

func isZero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}

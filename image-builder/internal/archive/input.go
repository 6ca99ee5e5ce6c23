package archive

import "io"

const (
	headerBytes = 512
	// Two empty headers end an archive.
	endBytes = 2 * headerBytes
)

// input counts the bytes of an archive's stream and remembers the last ones.
type input struct {
	stream io.Reader
	// Bytes read so far.
	bytes int64
	last  [endBytes]byte
	// over is called with the count after each read. Its error ends the reading.
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

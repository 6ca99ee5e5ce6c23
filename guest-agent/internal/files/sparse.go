package files

import (
	"io"
	"os"
	"syscall"
)

// span is a stretch of a file that holds data; what lies between spans is a hole and reads as zeros.
type span struct {
	offset, length int64
}

const (
	seekData = 3
	seekHole = 4
	// More spans than this are packed with the holes between the last of them.
	spansMax = 100_000
)

// spansOf finds the data of a file of the given size; one span for the whole file when the file system does not say.
func spansOf(file *os.File, size int64) ([]span, error) {
	whole := []span{{0, size}}
	var spans []span
	for at := int64(0); at < size; {
		data, err := file.Seek(at, seekData)
		if isErrno(err, syscall.ENXIO) {
			break
		}
		if isErrno(err, syscall.EINVAL) || isErrno(err, syscall.ENOTSUP) || len(spans) == spansMax {
			return whole, nil
		}
		if err != nil {
			return nil, err
		}
		hole, err := file.Seek(data, seekHole)
		if err != nil {
			return nil, err
		}
		if hole > size {
			hole = size
		}
		if data < hole {
			spans = append(spans, span{data, hole - data})
		}
		at = hole
	}
	_, err := file.Seek(0, io.SeekStart)
	return spans, err
}

func isErrno(err error, number syscall.Errno) bool {
	path, ok := err.(*os.PathError)
	return ok && path.Err == number
}

// A stretch of zeros as long as this, and at such an offset, becomes a hole: the block of the usual file systems.
const holeBytes = 4096

// copySparsely writes the content of an archive's file, leaving out its zeros, so that holes are holes again.
func copySparsely(file *os.File, content io.Reader, size int64) error {
	buffer := make([]byte, 64*holeBytes)
	var at int64
	for at < size {
		want := buffer
		if rest := size - at; rest < int64(len(want)) {
			want = want[:rest]
		}
		if _, err := io.ReadFull(content, want); err != nil {
			return err
		}
		if err := writeBlocks(file, want, at); err != nil {
			return err
		}
		at += int64(len(want))
	}
	return file.Truncate(size)
}

// writeBlocks writes the blocks that hold more than zeros, neighbours together.
func writeBlocks(file *os.File, content []byte, at int64) error {
	for start := 0; start < len(content); {
		end := start
		for end < len(content) && !isZero(content[end:blockEnd(end, len(content))]) {
			end = blockEnd(end, len(content))
		}
		if start < end {
			if _, err := file.WriteAt(content[start:end], at+int64(start)); err != nil {
				return err
			}
		}
		start = blockEnd(end, len(content))
	}
	return nil
}

func blockEnd(start, length int) int {
	if start+holeBytes < length {
		return start + holeBytes
	}
	return length
}

var zeros [holeBytes]byte

func isZero(block []byte) bool { return string(block) == string(zeros[:len(block)]) }

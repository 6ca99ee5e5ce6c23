package link

import (
	"bufio"
	"errors"
	"io"
)

// LineBytesMax is the longest line that either side may send, including its newline.
const LineBytesMax = 65536

var errLineTooLong = errors.New("the line is longer than 64 KiB")

// lineReader reads lines of bounded length, then the bytes after them.
type lineReader struct {
	buffered *bufio.Reader
}

func newLineReader(source io.Reader) *lineReader {
	return &lineReader{buffered: bufio.NewReader(source)}
}

// line returns the next line without its newline. A last line without one is io.ErrUnexpectedEOF.
func (r *lineReader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.buffered.ReadSlice('\n')
		if len(line)+len(part) > LineBytesMax {
			return nil, errLineTooLong
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case err == io.EOF && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}

// Read returns the bytes after the lines read so far.
func (r *lineReader) Read(p []byte) (int, error) { return r.buffered.Read(p) }

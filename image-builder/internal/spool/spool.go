// Package spool stores file contents until the size of the image is known.
package spool

import (
	"bufio"
	"bytes"
	"io"
	"os"

	"image-builder/internal/tree"
)

const (
	// A run of zeros of this length becomes a hole.
	chunkBytes  = 64 << 10
	bufferBytes = 1 << 20
)

// Spool is a file of blocks.
type Spool struct {
	file   *os.File
	writer *bufio.Writer
	blocks uint32
	chunk  []byte
}

var zeros = make([]byte, chunkBytes)

// Create makes a spool as an unlinked file, which disappears when the process ends.
func Create(path string) (*Spool, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil {
		return nil, err
	}
	return &Spool{file, bufio.NewWriterSize(file, bufferBytes), 0, make([]byte, chunkBytes)}, nil
}

// Keep stores a file's content. It returns the first bytes as `head`, at most a chunk, valid until the next call.
func (s *Spool) Keep(content io.Reader) (extents []tree.Extent, head []byte, size int64, err error) {
	for {
		n, err := io.ReadFull(content, s.chunk)
		if err == io.EOF {
			return extents, head, size, nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return nil, nil, 0, err
		}
		isLast := err == io.ErrUnexpectedEOF
		data := s.chunk[:n]
		if !bytes.Equal(data, zeros[:n]) {
			added, err := s.append(data, uint32(size/tree.BlockBytes))
			if err != nil {
				return nil, nil, 0, err
			}
			extents = joined(extents, added)
		}
		if size == 0 {
			head = append([]byte{}, data[:min(n, headBytesMax)]...)
		}
		size += int64(n)
		if isLast {
			return extents, head, size, nil
		}
	}
}

// headBytesMax is enough to recognise a program's format.
const headBytesMax = 64

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func (s *Spool) append(data []byte, fileBlock uint32) (tree.Extent, error) {
	if _, err := s.writer.Write(data); err != nil {
		return tree.Extent{}, err
	}
	if rest := len(data) % tree.BlockBytes; rest > 0 {
		if _, err := s.writer.Write(zeros[:tree.BlockBytes-rest]); err != nil {
			return tree.Extent{}, err
		}
	}
	count := uint32((len(data) + tree.BlockBytes - 1) / tree.BlockBytes)
	extent := tree.Extent{File: fileBlock, Spool: s.blocks, Count: count}
	s.blocks += count
	return extent, nil
}

func joined(extents []tree.Extent, next tree.Extent) []tree.Extent {
	if len(extents) > 0 {
		last := &extents[len(extents)-1]
		if last.File+last.Count == next.File && last.Spool+last.Count == next.Spool {
			last.Count += next.Count
			return extents
		}
	}
	return append(extents, next)
}

// Reader gives random access to the blocks stored so far.
func (s *Spool) Reader() (io.ReaderAt, error) {
	return s.file, s.writer.Flush()
}

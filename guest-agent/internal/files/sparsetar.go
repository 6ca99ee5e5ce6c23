package files

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
)

// Go's archive/tar reads a sparse file as all its zeros, which takes minutes for some gigabytes in a guest. So the
// records that say that a file is sparse (GNU tar's version 1.0, which Pack writes, too) are renamed before
// archive/tar sees them: it then delivers the map and the data as they are in the archive.
const (
	sparseKey = "GNU.sparse."
	hiddenKey = "FLT.sparse."
	// Longer pax headers are left as they are; archive/tar has the same limit.
	paxBytesMax = 1 << 20
)

// sparseTar passes an archive on.
type sparseTar struct {
	source io.Reader
	// ready is what was read and not yet passed on, payload what follows it unread.
	ready   []byte
	payload int64
	// paxSize is the size that a pax header gives the next file; -1 for none.
	paxSize int64
	err     error
}

func newSparseTar(source io.Reader) *sparseTar { return &sparseTar{source: source, paxSize: -1} }

func (s *sparseTar) Read(p []byte) (int, error) {
	for len(s.ready) == 0 && s.payload == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.err = s.header()
	}
	if len(s.ready) > 0 {
		n := copy(p, s.ready)
		s.ready = s.ready[n:]
		return n, nil
	}
	if int64(len(p)) > s.payload {
		p = p[:s.payload]
	}
	n, err := s.source.Read(p)
	s.payload -= int64(n)
	if err == io.EOF && s.payload > 0 {
		err = io.ErrUnexpectedEOF
	}
	if n > 0 {
		// The error comes again.
		return n, nil
	}
	return 0, err
}

// header reads the next header, and what it says about what follows.
func (s *sparseTar) header() error {
	block := make([]byte, tarBlockBytes)
	n, err := io.ReadFull(s.source, block)
	s.ready = block[:n]
	if err != nil {
		return err
	}
	size, ok := sizeOf(block[124:136])
	kind := block[156]
	switch {
	case !ok || isZero(block):
		// The archive's end, or what archive/tar will refuse.
		return nil
	case kind == tar.TypeXHeader && size <= paxBytesMax:
		return s.pax(size)
	case kind == tar.TypeXHeader || kind == tar.TypeXGlobalHeader || kind == tar.TypeGNULongName || kind == tar.TypeGNULongLink:
		s.payload = size + padding(size)
		return nil
	}
	if s.paxSize >= 0 {
		size = s.paxSize
	}
	s.paxSize = -1
	switch kind {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo:
		return nil
	case tar.TypeGNUSparse:
		if err := s.extensions(block[482] != 0); err != nil {
			return err
		}
	}
	s.payload = size + padding(size)
	return nil
}

func (s *sparseTar) pax(size int64) error {
	records := make([]byte, size+padding(size))
	n, err := io.ReadFull(s.source, records)
	records = records[:n]
	if err == nil {
		for key, value := range parseRecords(string(records[:size])) {
			if number, err := strconv.ParseInt(value, 10, 64); key == "size" && err == nil && number >= 0 {
				s.paxSize = number
			}
			if key == sparseKey+"major" && value == "1" {
				records = bytes.ReplaceAll(records, []byte(" "+sparseKey), []byte(" "+hiddenKey))
			}
		}
	}
	s.ready = append(s.ready, records...)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// extensions passes on the blocks in which GNU's older form goes on with its map.
func (s *sparseTar) extensions(more bool) error {
	for more {
		block := make([]byte, tarBlockBytes)
		n, err := io.ReadFull(s.source, block)
		s.ready = append(s.ready, block[:n]...)
		if err != nil {
			return err
		}
		more = block[504] != 0
		if len(s.ready) > paxBytesMax {
			return invalid("a sparse file of the archive has too many pieces")
		}
	}
	return nil
}

// sizeOf reads octal digits, or the binary form of large numbers.
func sizeOf(field []byte) (int64, bool) {
	if field[0]&0x80 != 0 {
		var number uint64
		for _, b := range field[4:] {
			number = number<<8 | uint64(b)
		}
		return int64(number), number < 1<<62
	}
	text := strings.Trim(string(field), " \x00")
	if text == "" {
		return 0, true
	}
	number, err := strconv.ParseInt(text, 8, 64)
	return number, err == nil && number >= 0
}

func parseRecords(text string) map[string]string {
	found := map[string]string{}
	for text != "" {
		digits := strings.IndexByte(text, ' ')
		if digits < 1 {
			break
		}
		length, err := strconv.Atoi(text[:digits])
		if err != nil || length <= digits+1 || length > len(text) {
			break
		}
		key, value, ok := strings.Cut(strings.TrimSuffix(text[digits+1:length], "\n"), "=")
		if ok {
			found[key] = value
		}
		text = text[length:]
	}
	return found
}

// sparseFile is what the hidden records say; nil for other files.
type sparseFile struct {
	name string
	size int64
}

func sparseFileOf(header *tar.Header) (*sparseFile, error) {
	if header.PAXRecords[hiddenKey+"major"] == "" {
		return nil, nil
	}
	size, err := strconv.ParseInt(header.PAXRecords[hiddenKey+"realsize"], 10, 64)
	if err != nil || size < 0 {
		return nil, invalid("%s: the archive gives this sparse file no size", header.Name)
	}
	name := header.PAXRecords[hiddenKey+"name"]
	if name == "" {
		name = header.Name
	}
	return &sparseFile{name: name, size: size}, nil
}

// fill writes the data where the map before it says. The rest stays a hole.
func (s *sparseFile) fill(file *os.File, content io.Reader) error {
	lines := &mapReader{content: content}
	count, err := lines.number(spansMax * 10)
	if err != nil {
		return err
	}
	spans := make([]span, 0, 16)
	var end int64
	for i := int64(0); i < count; i++ {
		offset, err := lines.number(s.size)
		if err != nil {
			return err
		}
		length, err := lines.number(s.size - offset)
		if err != nil {
			return err
		}
		if offset < end {
			return errSparseMap
		}
		end = offset + length
		spans = append(spans, span{offset, length})
	}
	for _, each := range spans {
		if _, err := file.Seek(each.offset, io.SeekStart); err != nil {
			return err
		}
		n, err := io.Copy(file, io.LimitReader(content, each.length))
		if err != nil {
			return err
		}
		if n < each.length {
			return io.ErrUnexpectedEOF
		}
	}
	return file.Truncate(s.size)
}

var errSparseMap = invalid("the map of a sparse file in the archive is damaged")

// mapReader reads the decimal lines of a map, which fills whole blocks.
type mapReader struct {
	content io.Reader
	block   []byte
}

func (m *mapReader) number(limit int64) (int64, error) {
	var digits []byte
	for {
		if len(m.block) == 0 {
			m.block = make([]byte, tarBlockBytes)
			if _, err := io.ReadFull(m.content, m.block); err != nil {
				return 0, err
			}
		}
		b := m.block[0]
		m.block = m.block[1:]
		if b == '\n' {
			break
		}
		if digits = append(digits, b); len(digits) > 20 {
			return 0, errSparseMap
		}
	}
	number, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || number < 0 || number > limit {
		return 0, errSparseMap
	}
	return number, nil
}

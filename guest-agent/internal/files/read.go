package files

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// Reading is an open file, and what it was like when it was opened.
type Reading struct {
	Entry *Entry
	// Length is how many bytes follow, or -1 when only the end will tell, as for files of /proc.
	Length int64

	path   string
	file   *os.File
	before syscall.Stat_t
	// left is how much is still to be read, -1 for everything.
	left int64
}

// Open begins to read length bytes from offset on; a negative length means to the end.
func Open(path string, offset, length int64) (*Reading, error) {
	return open(path, offset, length, readNames())
}

func open(path string, offset, length int64, known *names) (*Reading, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, invalid("the offset must not be negative")
	}
	// Opening a device may already act on it.
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, notReadable(path, info)
	}
	file, err := openFile(path, os.O_RDONLY)
	if err != nil {
		return nil, explain(path, err)
	}
	reading := &Reading{path: path, file: file}
	if err := reading.begin(offset, length, known); err != nil {
		_ = file.Close()
		return nil, explain(path, err)
	}
	return reading, nil
}

func notReadable(path string, info os.FileInfo) error {
	if info.IsDir() {
		return invalid("%s: is a directory; get it as an archive", path)
	}
	return invalid("%s: is no regular file", path)
}

func (r *Reading) begin(offset, length int64, known *names) error {
	if err := r.stat(&r.before); err != nil {
		return err
	}
	r.Entry = describe(filepath.Base(r.path), r.path, &r.before, known)
	switch {
	case r.Entry.Type != "file":
		return invalid("%s: is no regular file", r.path)
	case r.before.Size == 0 && r.hasHiddenContent():
		r.Length, r.left = -1, length
	case offset > r.before.Size:
		return invalid("%s: has only %d bytes", r.path, r.before.Size)
	default:
		rest := r.before.Size - offset
		if length < 0 || length > rest {
			length = rest
		}
		r.Length, r.left = length, length
	}
	_, err := r.file.Seek(offset, io.SeekStart)
	return err
}

// hasHiddenContent: files of /proc and /sys have content and the size 0.
func (r *Reading) hasHiddenContent() bool {
	var first [1]byte
	n, _ := r.file.ReadAt(first[:], 0)
	return n > 0
}

func (r *Reading) stat(into *syscall.Stat_t) error {
	return sanely(func() error { return syscall.Fstat(int(r.file.Fd()), into) })
}

// Read reads the next bytes. It ends with io.EOF only if they are what the file held when it was opened; a file that
// was changed meanwhile, or is shorter than it was, is a Conflict.
func (r *Reading) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, r.verdict()
	}
	if r.left > 0 && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.file.Read(p)
	if r.left > 0 {
		r.left -= int64(n)
	}
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF && r.Length < 0:
		return 0, io.EOF
	case err == io.EOF:
		return 0, r.changed()
	}
	return 0, explain(r.path, err)
}

func (r *Reading) verdict() error {
	if r.Length < 0 {
		return io.EOF
	}
	var after syscall.Stat_t
	if err := r.stat(&after); err != nil {
		return explain(r.path, err)
	}
	// Not its change time: a link to it, or another owner, is no other content.
	if after.Size != r.before.Size || after.Mtim != r.before.Mtim {
		return r.changed()
	}
	return io.EOF
}

func (r *Reading) changed() error {
	return conflict("%s: was changed while it was read; read it again", r.path)
}

// Close closes the file.
func (r *Reading) Close() { _ = r.file.Close() }

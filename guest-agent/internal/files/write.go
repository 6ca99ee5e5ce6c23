package files

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"guest-agent/internal/process"
)

// Attributes are those that a new file or directory gets. What is nil or empty stays as it was, or is the default.
type Attributes struct {
	Mode *uint32 `json:"mode"`
	// Owner is USER or USER:GROUP, by name or number.
	Owner string `json:"owner"`
	// ModifiedNs is in nanoseconds since 1970.
	ModifiedNs *int64 `json:"modified_ns,string"`
}

const (
	fileMode      = 0o644
	directoryMode = 0o755
	temporaryName = ".flotilla-upload-"
)

// Writing is a file that becomes visible, whole, with Commit. Devices, and files of /proc and the like, beside which
// no file can be made, are written in place instead.
type Writing struct {
	// temporary is empty for a file that is written in place.
	path, temporary string
	file            *os.File
	attributes      Attributes
	// waiting is for a file that is written in place: a setting of /proc takes its value as a whole.
	waiting []byte
}

const (
	waitingBytesMax = 1 << 20
	// Only devices make a writer wait.
	inPlaceWait = 10 * time.Second
)

// Create begins to write the file at path. An existing one keeps its mode and owner, and through symbolic links it is
// their target that is replaced.
func Create(path string, attributes Attributes, parents bool) (*Writing, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	target, isDevice, err := resolveTarget(path)
	if err != nil {
		return nil, explain(path, err)
	}
	if isDevice {
		return inPlace(target, attributes)
	}
	if parents {
		if err := makeParents(filepath.Dir(target)); err != nil {
			return nil, err
		}
	}
	owner, mode, err := attributesOver(target, attributes, fileMode)
	if err != nil {
		return nil, explain(path, err)
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, explain(path, err)
	}
	temporary := filepath.Join(filepath.Dir(target), temporaryName+hex.EncodeToString(random[:]))
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil && takesNoFiles(err) && isThere(target) {
		return inPlace(target, attributes)
	}
	if err != nil {
		return nil, explain(path, err)
	}
	writing := &Writing{path: target, temporary: temporary, file: file, attributes: attributes}
	if err := give(file, owner, mode); err != nil {
		writing.Abort()
		return nil, explain(path, err)
	}
	return writing, nil
}

func inPlace(path string, attributes Attributes) (*Writing, error) {
	file, err := openFile(path, os.O_WRONLY|os.O_TRUNC)
	if err != nil {
		return nil, explain(path, err)
	}
	return &Writing{path: path, file: file, attributes: attributes}, nil
}

// takesNoFiles is true for directories of /proc, /sys and the like.
func takesNoFiles(err error) bool {
	return errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES)
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// resolveTarget follows symbolic links, also to a file that does not exist yet, and says whether the file is one that
// must not be replaced.
func resolveTarget(path string) (target string, isDevice bool, err error) {
	const linksMax = 40
	for links := 0; links <= linksMax; links++ {
		if last := filepath.Base(path); path[len(path)-1] == '/' || last == ".." || last == "." {
			return "", false, syscall.EISDIR
		}
		info, err := os.Lstat(path)
		switch {
		case os.IsNotExist(err):
			return path, false, nil
		case err != nil:
			return "", false, err
		case info.IsDir():
			return "", false, syscall.EISDIR
		case info.Mode()&os.ModeSymlink == 0:
			return path, !info.Mode().IsRegular(), nil
		}
		next, err := os.Readlink(path)
		if err != nil {
			return "", false, err
		}
		if !filepath.IsAbs(next) {
			// The kernel resolves a relative target from where the link really is.
			directory, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return "", false, err
			}
			next = directory + "/" + next
		}
		path = next
	}
	return "", false, syscall.ELOOP
}

// attributesOver decides who will own a file and its mode, from what is asked for and what is there.
func attributesOver(path string, asked Attributes, mode uint32) (process.Owner, uint32, error) {
	var owner process.Owner
	var stat syscall.Stat_t
	if syscall.Stat(path, &stat) == nil {
		owner = process.Owner{UID: stat.Uid, GID: stat.Gid}
		mode = stat.Mode & 0o7777
	}
	if asked.Mode != nil {
		mode = *asked.Mode & 0o7777
	}
	if asked.Owner == "" {
		return owner, mode, nil
	}
	passwd, _ := os.ReadFile("/etc/passwd")
	group, _ := os.ReadFile("/etc/group")
	owner, err := process.ResolveOwner(asked.Owner, string(passwd), string(group))
	if err != nil {
		return owner, 0, invalid("%v", err)
	}
	return owner, mode, nil
}

// give sets the owner first, because a change of owner clears set-id bits.
func give(file *os.File, owner process.Owner, mode uint32) error {
	if err := syscall.Fchown(int(file.Fd()), int(owner.UID), int(owner.GID)); err != nil {
		return err
	}
	return syscall.Fchmod(int(file.Fd()), mode)
}

// Write appends to the file.
func (w *Writing) Write(p []byte) (int, error) {
	if w.temporary == "" && len(w.waiting)+len(p) <= waitingBytesMax {
		w.waiting = append(w.waiting, p...)
		return len(p), nil
	}
	if err := w.flush(); err != nil {
		return 0, explain(w.path, err)
	}
	n, err := w.file.Write(p)
	return n, explain(w.path, err)
}

// flush writes what waits for a file that is written in place.
func (w *Writing) flush() error {
	if w.temporary != "" {
		return nil
	}
	_ = w.file.SetWriteDeadline(time.Now().Add(inPlaceWait))
	if len(w.waiting) == 0 {
		return nil
	}
	_, err := w.file.Write(w.waiting)
	w.waiting = nil
	return err
}

// Commit makes the content durable and puts it in place of the old file.
func (w *Writing) Commit() (*Entry, error) {
	if w.temporary == "" {
		return w.commitInPlace()
	}
	err := w.settle()
	if err != nil {
		w.Abort()
		return nil, explain(w.path, err)
	}
	if err := syncDirectory(filepath.Dir(w.path)); err != nil {
		return nil, explain(w.path, err)
	}
	return Stat(w.path, true)
}

func (w *Writing) commitInPlace() (*Entry, error) {
	err := w.flush()
	if mode := w.attributes.Mode; err == nil && mode != nil {
		err = syscall.Chmod(w.path, *mode&0o7777)
	}
	if closeErr := w.file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, explain(w.path, err)
	}
	return Stat(w.path, true)
}

func (w *Writing) settle() error {
	if err := w.file.Sync(); err != nil {
		return err
	}
	if err := w.file.Close(); err != nil {
		return err
	}
	if err := setModified(w.temporary, w.attributes.ModifiedNs); err != nil {
		return err
	}
	return os.Rename(w.temporary, w.path)
}

// Abort removes what was written; the old file stays. After Commit it does nothing.
func (w *Writing) Abort() {
	_ = w.file.Close()
	if w.temporary != "" {
		_ = os.Remove(w.temporary)
	}
}

func setModified(path string, modifiedNs *int64) error {
	if modifiedNs == nil {
		return nil
	}
	at := time.Unix(0, *modifiedNs)
	return os.Chtimes(path, at, at)
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer directory.Close()
	err = directory.Sync()
	// Some file systems of guests cannot.
	if isUnsupported(err) {
		return nil
	}
	return err
}

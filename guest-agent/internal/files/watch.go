package files

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"
)

// Change is one thing that happened to a file.
type Change struct {
	// Type is created, modified, attributes, deleted, moved_from, moved_to, or overflow: changes were lost, look again.
	Type string `json:"type"`
	Path string `json:"path,omitempty"`
	// IsDirectory is whether the file is a directory.
	IsDirectory bool `json:"is_directory,omitempty"`
	// Cookie is the same for the two ends of one move.
	Cookie uint32 `json:"cookie,omitempty"`
}

// WatchesMax is how many directories one watch can hold.
const WatchesMax = 8192

const watchedMask = syscall.IN_CREATE | syscall.IN_CLOSE_WRITE | syscall.IN_MODIFY | syscall.IN_ATTRIB | syscall.IN_DELETE |
	syscall.IN_DELETE_SELF | syscall.IN_MOVED_FROM | syscall.IN_MOVED_TO | syscall.IN_MOVE_SELF

// Watching reports changes of a file, of the files in a directory, or of a whole tree.
type Watching struct {
	file      *os.File
	recursive bool
	paths     map[int32]string
	root      int32
	buffer    []byte
	// waiting are changes of files that were there before their directory was watched.
	waiting []Change
	isOver  bool
}

// Watch begins to watch.
func Watch(path string, recursive bool) (*Watching, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	fd, err := syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK)
	if err != nil {
		return nil, explain(path, err)
	}
	w := &Watching{
		file: os.NewFile(uintptr(fd), "inotify"), recursive: recursive, paths: map[int32]string{},
		buffer: make([]byte, 64<<10),
	}
	if err := w.add(filepath.Clean(path), false); err != nil {
		w.Close()
		return nil, explain(path, err)
	}
	return w, nil
}

// add watches a path and, if wanted, the directories below it. What is found in a new directory is reported, because
// it may have been made before the directory was watched.
func (w *Watching) add(path string, isNew bool) error {
	if len(w.paths) >= WatchesMax {
		return &Error{Kind: Exhausted, Message: "more directories than one watch can hold"}
	}
	watch, err := syscall.InotifyAddWatch(w.fd(), path, watchedMask)
	if err != nil {
		return err
	}
	if len(w.paths) == 0 {
		w.root = int32(watch)
	}
	w.paths[int32(watch)] = path
	if !w.recursive {
		return nil
	}
	found, err := namesAfter(path, "")
	if isErrno(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range found {
		child := filepath.Join(path, name)
		info, err := os.Lstat(child)
		if err != nil {
			continue
		}
		if isNew {
			w.waiting = append(w.waiting, Change{Type: "created", Path: child, IsDirectory: info.IsDir()})
		}
		if info.IsDir() {
			if err := w.add(child, isNew); err != nil && !os.IsNotExist(err) && err != syscall.ENOENT {
				return err
			}
		}
	}
	return nil
}

func (w *Watching) fd() int {
	raw, err := w.file.SyscallConn()
	number := -1
	if err == nil {
		_ = raw.Control(func(fd uintptr) { number = int(fd) })
	}
	return number
}

// Next waits for changes. It returns none, and no error, when what was watched is gone.
func (w *Watching) Next() ([]Change, error) {
	for {
		if len(w.waiting) > 0 {
			changes := w.waiting
			w.waiting = nil
			return changes, nil
		}
		if w.isOver {
			return nil, nil
		}
		n, err := w.file.Read(w.buffer)
		if err != nil {
			return nil, explain("the watch", err)
		}
		if w.isOver, err = w.take(w.buffer[:n]); err != nil {
			return nil, err
		}
	}
}

// take turns the kernel's events into changes; true if the watched path itself is gone.
func (w *Watching) take(events []byte) (bool, error) {
	for len(events) >= syscall.SizeofInotifyEvent {
		watch := int32(binary.LittleEndian.Uint32(events[0:4]))
		mask := binary.LittleEndian.Uint32(events[4:8])
		cookie := binary.LittleEndian.Uint32(events[8:12])
		length := int(binary.LittleEndian.Uint32(events[12:16]))
		end := syscall.SizeofInotifyEvent + length
		if end > len(events) {
			break
		}
		name := strings.TrimRight(string(events[syscall.SizeofInotifyEvent:end]), "\x00")
		events = events[end:]
		isOver, err := w.event(watch, mask, cookie, name)
		if isOver || err != nil {
			return isOver, err
		}
	}
	return false, nil
}

func (w *Watching) event(watch int32, mask, cookie uint32, name string) (bool, error) {
	if mask&syscall.IN_Q_OVERFLOW != 0 {
		w.waiting = append(w.waiting, Change{Type: "overflow"})
		return false, nil
	}
	directory, known := w.paths[watch]
	if mask&syscall.IN_IGNORED != 0 {
		delete(w.paths, watch)
		return watch == w.root, nil
	}
	kind := changeOf(mask)
	// The end of a directory below is also reported by the one above it.
	if !known || kind == "" || name == "" && watch != w.root {
		return false, nil
	}
	path := directory
	if name != "" {
		path = filepath.Join(directory, name)
	}
	isDirectory := mask&syscall.IN_ISDIR != 0
	shown := path
	if !utf8.ValidString(shown) {
		shown = strings.ToValidUTF8(shown, "\uFFFD")
	}
	w.waiting = append(w.waiting, Change{Type: kind, Path: shown, IsDirectory: isDirectory, Cookie: cookie})
	if isDirectory && w.recursive && mask&(syscall.IN_CREATE|syscall.IN_MOVED_TO) != 0 {
		if err := w.add(path, true); err != nil && err != syscall.ENOENT && !os.IsNotExist(err) {
			return false, explain(path, err)
		}
	}
	return mask&syscall.IN_MOVE_SELF != 0 && watch == w.root, nil
}

func changeOf(mask uint32) string {
	switch {
	case mask&syscall.IN_CREATE != 0:
		return "created"
	case mask&(syscall.IN_MODIFY|syscall.IN_CLOSE_WRITE) != 0:
		return "modified"
	case mask&syscall.IN_ATTRIB != 0:
		return "attributes"
	case mask&(syscall.IN_DELETE|syscall.IN_DELETE_SELF) != 0:
		return "deleted"
	case mask&(syscall.IN_MOVED_FROM|syscall.IN_MOVE_SELF) != 0:
		return "moved_from"
	case mask&syscall.IN_MOVED_TO != 0:
		return "moved_to"
	}
	return ""
}

// Close ends the watch and a waiting Next.
func (w *Watching) Close() { _ = w.file.Close() }

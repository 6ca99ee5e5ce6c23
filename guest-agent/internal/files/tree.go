package files

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"unsafe"
)

// EntriesMax is how many names a directory may have to be listed.
const EntriesMax = 1_000_000

// List describes the files in a directory whose names come after the given one, in byte order, and hands them to
// each, at most limit of them. It returns whether more follow.
func List(path, after string, limit int, each func(*Entry) error) (bool, error) {
	if err := checkPath(path); err != nil {
		return false, err
	}
	found, err := namesAfter(path, after)
	if err != nil {
		return false, explain(path, err)
	}
	known := readNames()
	for i, name := range found {
		if i == limit {
			return true, nil
		}
		full := filepath.Join(path, name)
		var stat syscall.Stat_t
		err := sanely(func() error { return syscall.Lstat(full, &stat) })
		if err == syscall.ENOENT {
			// Removed meanwhile.
			continue
		}
		if err != nil {
			return false, explain(full, err)
		}
		if err := each(describe(name, full, &stat, known)); err != nil {
			return false, err
		}
	}
	return false, nil
}

func namesAfter(path, after string) ([]string, error) {
	directory, err := openFile(path, os.O_RDONLY|syscall.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	var found []string
	for {
		some, err := directory.Readdirnames(4096)
		for _, name := range some {
			if name > after {
				found = append(found, name)
			}
		}
		if len(found) > EntriesMax {
			return nil, &Error{Kind: Exhausted, Message: path + ": has too many files to be listed"}
		}
		if len(some) == 0 {
			if err != nil && err.Error() != "EOF" {
				return nil, err
			}
			sort.Strings(found)
			return found, nil
		}
	}
}

// Mkdir makes a directory, with parents also those above it, and then an existing one is fine.
func Mkdir(path string, parents bool, attributes Attributes) (*Entry, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil {
		if parents && info.IsDir() {
			return Stat(path, true)
		}
		return nil, explain(path, syscall.EEXIST)
	}
	owner, mode, err := attributesOver(path, attributes, directoryMode)
	if err != nil {
		return nil, explain(path, err)
	}
	if parents {
		if err := makeParents(filepath.Dir(filepath.Clean(path))); err != nil {
			return nil, err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, explain(path, err)
	}
	directory, err := os.Open(path)
	if err != nil {
		return nil, explain(path, err)
	}
	defer directory.Close()
	if err := give(directory, owner, mode); err != nil {
		return nil, explain(path, err)
	}
	return Stat(path, true)
}

// makeParents makes the missing directories up to path, for root.
func makeParents(path string) error {
	return explain(path, os.MkdirAll(path, directoryMode))
}

// Move renames a file or directory. Unless replace is set, nothing may be at the new path.
func Move(from, to string, replace bool) (*Entry, error) {
	for _, path := range []string{from, to} {
		if err := checkPath(path); err != nil {
			return nil, err
		}
	}
	if isMountPoint(from) {
		return nil, conflict("%s: something is mounted there", from)
	}
	if err := sanely(func() error { return rename(from, to, replace) }); err != nil {
		subject := from
		if err == syscall.EEXIST || err == syscall.ENOTEMPTY || err == syscall.EISDIR || err == syscall.ENOTDIR {
			subject = to
		}
		return nil, explain(subject, err)
	}
	if err := syncDirectory(filepath.Dir(to)); err != nil {
		return nil, explain(to, err)
	}
	return Stat(to, false)
}

const renameNoReplace = 1

// From <linux/fcntl.h>: relative to the current directory, which absolute paths ignore.
var atFdcwd = -100

// rename asks the kernel to look for the new name and to rename in one step.
func rename(from, to string, replace bool) error {
	if replace {
		return syscall.Rename(from, to)
	}
	old, err := syscall.BytePtrFromString(from)
	if err != nil {
		return err
	}
	fresh, err := syscall.BytePtrFromString(to)
	if err != nil {
		return err
	}
	here := atFdcwd
	_, _, number := syscall.Syscall6(sysRenameat2, uintptr(here), uintptr(unsafe.Pointer(old)), uintptr(here),
		uintptr(unsafe.Pointer(fresh)), renameNoReplace, 0)
	switch number {
	case 0:
		return nil
	case syscall.EINVAL, syscall.ENOSYS:
		// Not every file system can; a look comes close.
		if _, err := os.Lstat(to); err == nil {
			return syscall.EEXIST
		}
		return syscall.Rename(from, to)
	}
	return number
}

// Remove removes a file, a link (not its target) or a directory, which must be empty unless recursive is set.
// Nothing of another file system is removed.
func Remove(path string, recursive bool) error {
	if err := checkPath(path); err != nil {
		return err
	}
	clean := filepath.Clean(path)
	if clean == "/" {
		return invalid("the root directory cannot be removed")
	}
	info, err := os.Lstat(clean)
	if err != nil {
		return explain(path, err)
	}
	if !info.IsDir() && strings.HasSuffix(path, "/") {
		return explain(path, syscall.ENOTDIR)
	}
	if info.IsDir() && recursive {
		// First the look, so that a mount below does not end the removal half-way.
		if mounted := mountBelow(clean); mounted != "" {
			return conflict("%s: something is mounted there", mounted)
		}
		return explain(path, os.RemoveAll(clean))
	}
	return explain(path, os.Remove(clean))
}

func isMountPoint(path string) bool {
	resolved, err := filepath.EvalSymlinks(filepath.Dir(filepath.Clean(path)))
	if err != nil {
		return false
	}
	full := filepath.Join(resolved, filepath.Base(path))
	for _, point := range mountPoints() {
		if point == full {
			return true
		}
	}
	return false
}

// mountBelow returns a mount point at or below the path, or nothing.
func mountBelow(path string) string {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return ""
	}
	full := filepath.Join(parent, filepath.Base(path))
	for _, point := range mountPoints() {
		if point == full || strings.HasPrefix(point, full+"/") {
			return point
		}
	}
	return ""
}

// mountPoints reads the fifth field of each mount; the kernel writes a space in a path as \040 and so on.
func mountPoints() []string {
	content, _ := os.ReadFile("/proc/self/mountinfo")
	var points []string
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for _, line := range strings.Split(string(content), "\n") {
		if fields := strings.Fields(line); len(fields) > 4 {
			points = append(points, unescape.Replace(fields[4]))
		}
	}
	return points
}

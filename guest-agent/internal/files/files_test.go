package files

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func kind(t *testing.T, err error, want Kind) {
	t.Helper()
	var known *Error
	if !errors.As(err, &known) {
		t.Fatalf("got %v, want an error of kind %s", err, want)
	}
	if known.Kind != want {
		t.Errorf("%q is %s, want %s", known.Message, known.Kind, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(content), 0o644))
}

func content(t *testing.T, path string) string {
	t.Helper()
	found, err := os.ReadFile(path)
	must(t, err)
	return string(found)
}

func listing(t *testing.T, directory string) string {
	t.Helper()
	found, err := os.ReadDir(directory)
	must(t, err)
	var all []string
	for _, entry := range found {
		all = append(all, entry.Name())
	}
	return strings.Join(all, " ")
}

func TestReadsARangeOfAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	put(t, path, "0123456789")
	for _, test := range []struct {
		offset, length int64
		want           string
	}{{0, -1, "0123456789"}, {3, 4, "3456"}, {8, 100, "89"}, {10, -1, ""}} {
		reading, err := Open(path, test.offset, test.length)
		must(t, err)
		got, err := io.ReadAll(reading)
		must(t, err)
		if string(got) != test.want || reading.Length != int64(len(test.want)) {
			t.Errorf("%d+%d: %q of %d bytes, want %q", test.offset, test.length, got, reading.Length, test.want)
		}
		reading.Close()
	}
	_, err := Open(path, 11, -1)
	kind(t, err, Invalid)
}

func TestAChangeDuringTheReadIsAnError(t *testing.T) {
	changes := map[string]func(string) error{
		"grows":        func(path string) error { return appendTo(path, "more") },
		"is cut":       func(path string) error { return os.Truncate(path, 1<<20) },
		"is emptied":   func(path string) error { return os.Truncate(path, 0) },
		"is rewritten": func(path string) error { return overwrite(path) },
	}
	for name, change := range changes {
		change := change
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			put(t, path, strings.Repeat("x", 3<<20))
			reading, err := Open(path, 0, -1)
			must(t, err)
			defer reading.Close()
			_, err = io.ReadFull(reading, make([]byte, 1000))
			must(t, err)
			must(t, change(path))
			_, err = io.Copy(io.Discard, onlyReader{reading})
			kind(t, err, Conflict)
		})
	}
}

func appendTo(path, words string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteString(words)
	return err
}

// overwrite keeps the size; the kernel's clock may not have moved on since the file was made, so time is set as well.
func overwrite(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.WriteString("y"); err != nil {
		return err
	}
	return lutimes(path, 1, 1)
}

func TestFilesOfProcHaveTheirContent(t *testing.T) {
	reading, err := Open("/proc/self/status", 0, -1)
	must(t, err)
	defer reading.Close()
	got, err := io.ReadAll(reading)
	must(t, err)
	if reading.Length != -1 || !strings.HasPrefix(string(got), "Name:") {
		t.Errorf("length %d, content %.20q", reading.Length, got)
	}
	part, err := Open("/proc/self/status", 1, 3)
	must(t, err)
	defer part.Close()
	if got, err := io.ReadAll(part); err != nil || string(got) != "ame" {
		t.Errorf("a part: %q, %v", got, err)
	}
}

func TestWhatIsNoFileIsNotOpened(t *testing.T) {
	directory := t.TempDir()
	fifo := filepath.Join(directory, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	for path, want := range map[string]Kind{
		directory: Invalid, fifo: Invalid, "/dev/null": Invalid, "relative": Invalid, "": Invalid, "/a\x00b": Invalid,
		"/" + strings.Repeat("a", 5000): Invalid, directory + "/none": NotFound, "/etc/passwd/x": Invalid,
	} {
		_, err := Open(path, 0, -1)
		kind(t, err, want)
	}
}

func TestAWriteIsSeenAsAWholeOrNotAtAll(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "file")
	put(t, path, "old")
	must(t, os.Chmod(path, 0o640))
	writing, err := Create(path, Attributes{}, false)
	must(t, err)
	_, err = writing.Write([]byte("new content"))
	must(t, err)
	if got := content(t, path); got != "old" {
		t.Errorf("before the commit there is %q", got)
	}
	writing.Abort()
	if got := listing(t, directory); got != "file" {
		t.Errorf("an abort leaves %s", got)
	}
	writing, err = Create(path, Attributes{}, false)
	must(t, err)
	_, err = writing.Write([]byte("new content"))
	must(t, err)
	entry, err := writing.Commit()
	must(t, err)
	writing.Abort()
	if got := content(t, path); got != "new content" || entry.Size != 11 || entry.Mode != 0o640 {
		t.Errorf("%q, %+v", got, entry)
	}
}

func TestAWriteGoesThroughLinks(t *testing.T) {
	directory := t.TempDir()
	must(t, os.Mkdir(directory+"/a", 0o755))
	must(t, os.Symlink("a", directory+"/to-a"))
	must(t, os.Symlink("../b", directory+"/a/link"))
	writing, err := Create(directory+"/to-a/link", Attributes{}, false)
	must(t, err)
	_, err = writing.Write([]byte("through"))
	must(t, err)
	_, err = writing.Commit()
	must(t, err)
	if got := content(t, directory+"/b"); got != "through" {
		t.Errorf("the target holds %q", got)
	}
	must(t, os.Symlink("loop", directory+"/loop"))
	for path, want := range map[string]Kind{
		"/loop": Invalid, "/a": Invalid, "/a/..": Invalid, "/a/": Invalid, "/new/": Invalid, "/none/file": NotFound, "/b/file": Invalid,
	} {
		_, err := Create(directory+path, Attributes{}, false)
		kind(t, err, want)
	}
	if got := listing(t, directory); got != "a b loop to-a" {
		t.Errorf("left: %s", got)
	}
}

func TestFilesOfTheKernelAreWrittenInPlace(t *testing.T) {
	before := content(t, "/proc/self/comm")
	defer func() { _ = os.WriteFile("/proc/self/comm", []byte(before), 0) }()
	for _, path := range []string{"/proc/self/comm", "/dev/null"} {
		writing, err := Create(path, Attributes{}, true)
		must(t, err)
		for _, part := range []string{"ano", "ther"} {
			_, err = writing.Write([]byte(part))
			must(t, err)
		}
		_, err = writing.Commit()
		must(t, err)
		writing.Abort()
	}
	if got := content(t, "/proc/self/comm"); got != "another\n" {
		t.Errorf("the name is %q", got)
	}
	if info, err := os.Stat("/dev/null"); err != nil || info.Mode()&os.ModeDevice == 0 {
		t.Errorf("/dev/null is %v now", info.Mode())
	}
	_, err := Create("/proc/none", Attributes{}, false)
	kind(t, err, NotFound)
}

func TestAWriteSetsWhatIsAskedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep/er/file")
	mode, modified := uint32(0o4751), int64(1_600_000_000_123_456_789)
	attributes := Attributes{Mode: &mode, ModifiedNs: &modified, Owner: "12:34"}
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	writing, err := Create(path, attributes, true)
	must(t, err)
	entry, err := writing.Commit()
	must(t, err)
	if entry.Mode != mode || entry.UID != 12 || entry.GID != 34 || entry.ModifiedNs != "1600000000123456789" {
		t.Errorf("%+v", entry)
	}
	_, err = Create(path, Attributes{Owner: "nobody-knows-them"}, false)
	kind(t, err, Invalid)
}

func TestListsInOrderAndInPages(t *testing.T) {
	directory := t.TempDir()
	for _, name := range []string{"b", "a", "c\xff", "d"} {
		put(t, filepath.Join(directory, name), name)
	}
	var got []string
	page := func(after string, limit int) bool {
		more, err := List(directory, after, limit, func(entry *Entry) error {
			got = append(got, entry.Name+entry.NameBase64)
			return nil
		})
		must(t, err)
		return more
	}
	if !page("", 2) || page("b", 2) {
		t.Error("the first page has another after it, the second has none")
	}
	if strings.Join(got, " ") != "a b c\uFFFDY/8= d" {
		t.Errorf("listed %q", got)
	}
	_, err := List(directory+"/a", "", 1, nil)
	kind(t, err, Invalid)
}

func TestMovesOnlyToWhereNothingIs(t *testing.T) {
	directory := t.TempDir()
	put(t, directory+"/a", "a")
	put(t, directory+"/b", "b")
	_, err := Move(directory+"/a", directory+"/b", false)
	kind(t, err, Conflict)
	_, err = Move(directory+"/none", directory+"/c", false)
	kind(t, err, NotFound)
	_, err = Move(directory+"/a", directory+"/c", false)
	must(t, err)
	_, err = Move(directory+"/c", directory+"/b", true)
	must(t, err)
	if listing(t, directory) != "b" || content(t, directory+"/b") != "a" {
		t.Errorf("left: %s", listing(t, directory))
	}
	_, err = Move("/proc", directory+"/proc", false)
	kind(t, err, Conflict)
}

func TestMakesAndRemovesDirectories(t *testing.T) {
	directory := t.TempDir()
	_, err := Mkdir(directory+"/a/b", false, Attributes{})
	kind(t, err, NotFound)
	mode := uint32(0o1777)
	entry, err := Mkdir(directory+"/a/b/", true, Attributes{Mode: &mode})
	must(t, err)
	if entry.Mode != mode || entry.Name != "b" {
		t.Errorf("%+v", entry)
	}
	_, err = Mkdir(directory+"/a/b", true, Attributes{})
	must(t, err)
	_, err = Mkdir(directory+"/a/b", false, Attributes{})
	kind(t, err, Conflict)
	put(t, directory+"/a/b/file", "")
	must(t, os.Symlink("/etc", directory+"/a/link"))
	kind(t, Remove(directory+"/a", false), Conflict)
	kind(t, Remove(directory+"/a/b/file/", false), Invalid)
	kind(t, Remove("/", true), Invalid)
	kind(t, Remove("/proc", true), Conflict)
	kind(t, Remove(directory+"/none", true), NotFound)
	must(t, Remove(directory+"/a", true))
	if _, err := os.Stat("/etc/passwd"); err != nil {
		t.Error("a link's target was removed")
	}
}

func TestWatchesATree(t *testing.T) {
	directory := t.TempDir()
	watching, err := Watch(directory, true)
	must(t, err)
	defer watching.Close()
	must(t, os.MkdirAll(directory+"/new/deep", 0o755))
	put(t, directory+"/new/deep/file", "content")
	must(t, os.Rename(directory+"/new/deep/file", directory+"/file"))
	wanted := map[string]bool{
		"created /new": true, "created /new/deep": true, "created /new/deep/file": true, "moved_to /file": true,
	}
	for len(wanted) > 0 {
		changes, err := watching.Next()
		must(t, err)
		for _, change := range changes {
			delete(wanted, change.Type+" "+strings.TrimPrefix(change.Path, directory))
			if change.Type == "moved_to" {
				// Whether the file was moved before its directory was watched is chance.
				delete(wanted, "created /new/deep/file")
			}
		}
	}
	must(t, os.RemoveAll(directory))
	for {
		changes, err := watching.Next()
		must(t, err)
		if changes == nil {
			return
		}
	}
}

package files

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func rootOnly(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root makes devices and gives files away")
	}
}

// makeTree makes a tree with everything that an archive must keep.
func makeTree(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "tree")
	long := strings.Repeat("long-name-", 15)
	must(t, os.MkdirAll(root+"/"+long+"/"+long, 0o750))
	put(t, root+"/"+long+"/"+long+"/file", "deep")
	put(t, root+"/odd \n'\"\\ name \xff\u00e9", "odd")
	put(t, root+"/plain", "plain")
	put(t, root+"/empty", "")
	must(t, os.Chmod(root+"/plain", 0o640))
	must(t, os.Link(root+"/plain", root+"/second-name"))
	must(t, os.Symlink("plain", root+"/link"))
	must(t, os.Symlink(strings.Repeat("x", 200), root+"/long-link"))
	must(t, syscall.Mkfifo(root+"/fifo", 0o600))
	must(t, syscall.Mknod(root+"/device", syscall.S_IFCHR|0o600, 0x103))
	must(t, os.Chown(root+"/empty", 3_000_000, 12))
	must(t, syscall.Chmod(root+"/empty", 0o4711))
	must(t, lutimes(root+"/empty", -100, 250_000_000))
	must(t, lutimes(root+"/link", 1_600_000_000, 123_456_789))
	sparse, err := os.Create(root + "/sparse")
	must(t, err)
	for _, offset := range []int64{0, 1 << 20, 10 << 30} {
		_, err = sparse.WriteAt([]byte("data"), offset)
		must(t, err)
	}
	must(t, sparse.Truncate(11<<30))
	must(t, sparse.Close())
	must(t, os.WriteFile(root+"/hole", nil, 0o600))
	must(t, os.Truncate(root+"/hole", 1<<30))
	if err := syscall.Setxattr(root+"/plain", "user.mood", []byte("calm\x00\n="), 0); err != nil && !isUnsupported(err) {
		t.Fatal(err)
	}
	must(t, lutimes(root, 1_500_000_000, 1))
	return root
}

// look describes a tree: all attributes, and where its files have data.
func look(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	inodes := map[uint64]string{}
	must(t, filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		must(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		name := strings.TrimPrefix(path, root)
		fmt.Fprintf(&out, "%q %o %d:%d %d.%d", name, stat.Mode, stat.Uid, stat.Gid, stat.Mtim.Sec, stat.Mtim.Nsec)
		if first, known := inodes[stat.Ino]; known {
			fmt.Fprintf(&out, " = %q", first)
		}
		inodes[stat.Ino] = name
		switch {
		case info.Mode()&os.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			fmt.Fprintf(&out, " -> %s", target)
		case info.Mode().IsRegular():
			file, err := os.Open(path)
			must(t, err)
			spans, err := spansOf(file, stat.Size)
			must(t, err)
			xattrs, err := readXattrs(path)
			must(t, err)
			fmt.Fprintf(&out, " %d %q %v", stat.Size, xattrs, spans)
			for _, each := range spans {
				data := make([]byte, each.length)
				_, err := file.ReadAt(data, each.offset)
				must(t, err)
				fmt.Fprintf(&out, " %q", strings.TrimRight(string(data), "\x00"))
			}
			_ = file.Close()
		case info.Mode()&os.ModeDevice != 0:
			fmt.Fprintf(&out, " device %x", stat.Rdev)
		}
		out.WriteString("\n")
		return nil
	}))
	return out.String()
}

func same(t *testing.T, got, want string) {
	t.Helper()
	theirs := strings.Split(want, "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(theirs) || line != theirs[i] {
			t.Fatalf("line %d is\n%s\nbut should be\n%s", i, line, theirs[i])
		}
	}
}

func TestATreeComesBackAsItWas(t *testing.T) {
	rootOnly(t)
	root := makeTree(t)
	var archive bytes.Buffer
	must(t, Pack(root, "", &archive))
	if archive.Len() > 1<<20 {
		t.Errorf("the holes are in the archive: %d bytes", archive.Len())
	}
	there := t.TempDir()
	count, err := Unpack(there, bytes.NewReader(archive.Bytes()), UnpackOptions{Log: t.Logf})
	must(t, err)
	if count != 14 {
		t.Errorf("%d entries", count)
	}
	same(t, look(t, there+"/tree"), look(t, root))
	// Over what is there.
	_, err = Unpack(there, bytes.NewReader(archive.Bytes()), UnpackOptions{Log: t.Logf})
	must(t, err)
	same(t, look(t, there+"/tree"), look(t, root))
}

func TestAnArchiveMayBeNamed(t *testing.T) {
	rootOnly(t)
	root := makeTree(t)
	for name, where := range map[string]string{"other": "/other", ".": ""} {
		var archive bytes.Buffer
		must(t, Pack(root, name, &archive))
		there := t.TempDir()
		_, err := Unpack(there, bytes.NewReader(archive.Bytes()), UnpackOptions{Log: t.Logf})
		must(t, err)
		entries, err := os.ReadDir(there + where)
		must(t, err)
		wanted, err := os.ReadDir(root)
		must(t, err)
		if len(entries) != len(wanted) {
			t.Errorf("%q: %d entries, not %d", name, len(entries), len(wanted))
		}
	}
	for _, name := range []string{"..", "a/b", "/", "a\x00b"} {
		if err := Pack(root, name, &bytes.Buffer{}); err == nil {
			t.Errorf("%q was taken as a name", name)
		}
	}
}

func TestGnuTarUnderstandsTheArchiveAndIsUnderstood(t *testing.T) {
	rootOnly(t)
	root := makeTree(t)
	var archive bytes.Buffer
	must(t, Pack(root, "", &archive))
	there := t.TempDir()
	unpack := exec.Command("tar", "-C", there, "--xattrs", "--numeric-owner", "-xpf", "-")
	unpack.Stdin = &archive
	if output, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	same(t, look(t, there+"/tree"), look(t, root))

	pack := exec.Command("tar", "-C", filepath.Dir(root), "--format=pax", "--sparse", "--xattrs", "-cf", "-", "tree")
	theirs, err := pack.Output()
	must(t, err)
	back := t.TempDir()
	_, err = Unpack(back, bytes.NewReader(theirs), UnpackOptions{Log: t.Logf})
	must(t, err)
	same(t, look(t, back+"/tree"), look(t, root))
}

func TestAnArchiveCannotLeaveItsDirectory(t *testing.T) {
	rootOnly(t)
	outside := t.TempDir()
	put(t, outside+"/file", "untouched")
	there := filepath.Join(outside, "inside")
	must(t, os.Mkdir(there, 0o755))
	must(t, os.Symlink(outside, there+"/out"))
	must(t, os.Symlink("..", there+"/up"))
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for _, header := range []tar.Header{
		{Name: "../file", Typeflag: tar.TypeReg, Size: 1},
		{Name: "/file", Typeflag: tar.TypeReg, Size: 1},
		{Name: "up/file", Typeflag: tar.TypeReg, Size: 1},
		{Name: "a/../../b", Typeflag: tar.TypeReg, Size: 1},
		{Name: "made", Typeflag: tar.TypeSymlink, Linkname: outside},
		{Name: "hard", Typeflag: tar.TypeLink, Linkname: "../file"},
	} {
		header := header
		must(t, writer.WriteHeader(&header))
		if header.Size > 0 {
			_, err := writer.Write([]byte("x"))
			must(t, err)
		}
	}
	must(t, writer.Close())
	_, err := Unpack(there, bytes.NewReader(archive.Bytes()), UnpackOptions{Log: t.Logf})
	must(t, err)
	if content(t, outside+"/file") != "untouched" || listing(t, outside) != "file inside" {
		t.Errorf("outside: %s", listing(t, outside))
	}
	if content(t, there+"/hard") != "x" {
		t.Error("the hard link is to another file")
	}
	_, err = Unpack(there+"/out", bytes.NewReader(archive.Bytes()), UnpackOptions{Log: t.Logf})
	must(t, err)
	if content(t, outside+"/file") != "x" {
		t.Error("the directory that was asked for is followed if it is a link")
	}
	if root, err := os.Stat("/proc/self/root/etc/passwd"); err != nil || root.IsDir() {
		t.Error("this process has another root directory now")
	}
}

func TestWhatCannotBeUnpackedIsRefused(t *testing.T) {
	rootOnly(t)
	there := t.TempDir()
	must(t, os.Mkdir(there+"/directory", 0o755))
	put(t, there+"/file", "old")
	one := func(header tar.Header, content string) []byte {
		var archive bytes.Buffer
		writer := tar.NewWriter(&archive)
		header.Size = int64(len(content))
		must(t, writer.WriteHeader(&header))
		_, err := writer.Write([]byte(content))
		must(t, err)
		must(t, writer.Close())
		return archive.Bytes()
	}
	whole := one(tar.Header{Name: "file", Typeflag: tar.TypeReg}, strings.Repeat("new", 5000))
	for name, test := range map[string]struct {
		archive []byte
		want    Kind
	}{
		"a directory over a file": {one(tar.Header{Name: "file", Typeflag: tar.TypeDir}, ""), Conflict},
		"a file over a directory": {one(tar.Header{Name: "directory", Typeflag: tar.TypeReg}, "x"), Conflict},
		"a link to nothing":       {one(tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: "none"}, ""), NotFound},
		"what is no archive":      {bytes.Repeat([]byte("no archive"), 100), Invalid},
	} {
		_, err := Unpack(there, bytes.NewReader(test.archive), UnpackOptions{Log: t.Logf})
		t.Log(name, err)
		kind(t, err, test.want)
	}
	_, err := Unpack(there, io.MultiReader(bytes.NewReader(whole[:9000]), broken{}), UnpackOptions{Log: t.Logf})
	if err == nil {
		t.Error("half an archive counts as a whole one")
	}
	if listing(t, there) != "directory file" || content(t, there+"/file") != "old" {
		t.Errorf("left: %s", listing(t, there))
	}
	_, err = Unpack(there+"/none", bytes.NewReader(whole), UnpackOptions{Log: t.Logf})
	kind(t, err, NotFound)
	_, err = Unpack(there+"/file", bytes.NewReader(whole), UnpackOptions{Log: t.Logf})
	kind(t, err, Invalid)
	_, err = Unpack(there+"/new/er", bytes.NewReader(whole), UnpackOptions{Log: t.Logf, Parents: true, Owner: "7:8"})
	must(t, err)
	entry, err := Stat(there+"/new/er/file", false)
	must(t, err)
	if entry.UID != 7 || entry.GID != 8 {
		t.Errorf("%+v", entry)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A file that changes in mid-read spoils the archive, whose header has told its size.
func TestAPackedFileThatChangesIsAnError(t *testing.T) {
	root := t.TempDir()
	path := root + "/file"
	put(t, path, strings.Repeat("x", 1<<20))
	err := Pack(root, "", &changer{path: path})
	kind(t, err, Conflict)
}

// changer makes the file shorter when its content begins to come.
type changer struct {
	path string
	done bool
}

func (c *changer) Write(p []byte) (int, error) {
	if !c.done && len(p) > 0 && p[0] == 'x' {
		c.done = true
		return len(p), os.Truncate(c.path, 100)
	}
	return len(p), nil
}

package ext4

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"image-builder/internal/spool"
	"image-builder/internal/tree"
)

// image is a file system made by a test.
type image struct {
	t    *testing.T
	path string
}

func (i image) run(program string, args ...string) string {
	i.t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		i.t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
	return string(out)
}

func (i image) debugfs(command string) string { return i.run("debugfs", "-R", command, i.path) }

// build writes the tree and checks the result with e2fsck.
func build(t *testing.T, files *tree.Tree, contents *spool.Spool) image {
	t.Helper()
	for _, program := range []string{"mkfs.ext4", "e2fsck", "debugfs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("e2fsprogs is not installed")
		}
	}
	if err := NeedLostAndFound(files); err != nil {
		t.Fatal(err)
	}
	size, err := Plan(files)
	if err != nil {
		t.Fatal(err)
	}
	made := image{t, filepath.Join(t.TempDir(), "image")}
	made.run("mkfs.ext4", "-q", "-F", "-b", "4096", "-I", "256", "-m", "0", "-J", "size=8", "-E",
		"lazy_itable_init=0", "-O", "^resize_inode", "-N", strconv.FormatInt(size.Inodes, 10), made.path, fmt.Sprint(size.MiB, "M"))
	reader, err := contents.Reader()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(made.path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := Populate(file, files.Root, reader); err != nil {
		t.Fatal(err)
	}
	made.run("e2fsck", "-fn", made.path)
	return made
}

func newSpool(t *testing.T) *spool.Spool {
	t.Helper()
	contents, err := spool.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	return contents
}

func put(t *testing.T, files *tree.Tree, path string, node *tree.Node) {
	t.Helper()
	if err := files.Add(path, node); err != nil {
		t.Fatal(err)
	}
}

func keep(t *testing.T, contents *spool.Spool, data []byte) *tree.Node {
	t.Helper()
	extents, _, size, err := contents.Keep(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return &tree.Node{Kind: tree.File, Mode: 0o644, Size: size, Content: extents}
}

func TestContentsHolesAndLinks(t *testing.T) {
	files, contents := tree.New(time.Unix(0, 0)), newSpool(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
	// So many holes that the block map fits neither into the inode nor into one block.
	var holes []byte
	for i := 0; i < 800; i++ {
		holes = append(append(holes, byte(i), 1), make([]byte, 2*64<<10-2)...)
	}
	put(t, files, "data", keep(t, contents, data))
	put(t, files, "holes", keep(t, contents, holes))
	put(t, files, "empty", keep(t, contents, nil))
	if err := files.Link("again", "data"); err != nil {
		t.Fatal(err)
	}
	for _, length := range []int{59, 60, 4095} {
		link := &tree.Node{Kind: tree.Symlink, Mode: 0o777}
		link.SetRare(tree.Rare{Target: strings.Repeat("t", length)})
		put(t, files, fmt.Sprint("link", length), link)
	}
	made := build(t, files, contents)
	for name, want := range map[string][]byte{"data": data, "again": data, "holes": holes, "empty": nil} {
		to := filepath.Join(t.TempDir(), name)
		made.debugfs("dump /" + name + " " + to)
		if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what it was: %v", name, err)
		}
	}
	if said := made.debugfs("stat /holes"); !strings.Contains(said, "Size: 104857600") || !strings.Contains(said, "(ETB") {
		t.Errorf("the holes are filled, or there is no block of extents: %s", said)
	}
	if said := made.debugfs("stat /data"); !strings.Contains(said, "Links: 2") {
		t.Error(said)
	}
	if said := made.debugfs("stat /link59"); !strings.Contains(said, strings.Repeat("t", 59)) {
		t.Error(said)
	}
}

func TestAttributesInTheInodeAndBeside(t *testing.T) {
	files, contents := tree.New(time.Unix(0, 0)), newSpool(t)
	for name, value := range map[string]string{"small": "v", "large": strings.Repeat("v", 3000), "none": ""} {
		node := keep(t, contents, nil)
		node.SetRare(tree.Rare{Attributes: []tree.Attribute{
			{Name: "security.capability", Value: []byte("\x01\x00\x00\x02")},
			{Name: "trusted.x", Value: nil},
			{Name: "user.key", Value: []byte(value)},
		}})
		put(t, files, name, node)
	}
	made := build(t, files, contents)
	for _, name := range []string{"small", "large", "none"} {
		said := made.debugfs("ea_list /" + name)
		for _, attribute := range []string{"security.capability (4)", "trusted.x (0)", "user.key ("} {
			if !strings.Contains(said, attribute) {
				t.Errorf("%s lacks %s: %s", name, attribute, said)
			}
		}
	}
}

// Where the test may mount, the kernel itself tells what it reads; debugfs knows the lists without a mount.
func TestAccessControlLists(t *testing.T) {
	// user::rw-, user:1000:rwx, group::r--, mask::rw-, other::---
	list := []byte("\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x07\x00\xe8\x03\x00\x00" +
		"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x06\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff")
	files, contents := tree.New(time.Unix(0, 0)), newSpool(t)
	kinds := []string{"system.posix_acl_access", "system.posix_acl_default"}
	for name, beside := range map[string]int{"small": 1, "large": 3000} {
		node := &tree.Node{Kind: tree.Directory, Mode: 0o660}
		rare := tree.Rare{Attributes: []tree.Attribute{{Name: "user.key", Value: bytes.Repeat([]byte("v"), beside)}}}
		for _, kind := range kinds {
			rare.Attributes = append(rare.Attributes, tree.Attribute{Name: kind, Value: list})
		}
		node.SetRare(rare)
		put(t, files, name, node)
	}
	made := build(t, files, contents)
	for _, name := range []string{"small", "large"} {
		for _, kind := range kinds {
			to := filepath.Join(t.TempDir(), "value")
			made.debugfs("ea_get -f " + to + " /" + name + " " + kind)
			// It writes 0 where there is no id.
			want := bytes.ReplaceAll(list, []byte("\xff\xff\xff\xff"), make([]byte, 4))
			if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s of %s is %x: %v", kind, name, got, err)
			}
		}
	}
	at := t.TempDir()
	if out, err := exec.Command("mount", "-o", "ro,loop,noload", made.path, at).CombinedOutput(); err != nil {
		t.Logf("not mounted: %s", out)
		return
	}
	defer made.run("umount", at)
	for _, name := range []string{"small", "large"} {
		for _, kind := range kinds {
			got := make([]byte, 100)
			size, err := syscall.Getxattr(filepath.Join(at, name), kind, got)
			if err != nil || !bytes.Equal(got[:size], list) {
				t.Errorf("the kernel reads %s of %s as %x: %v", kind, name, got, err)
			}
		}
	}
}

func TestDirectoriesOfAnySize(t *testing.T) {
	files, contents := tree.New(time.Unix(0, 0)), newSpool(t)
	// It replaces the one that mkfs has made.
	put(t, files, "lost+found/#12", keep(t, contents, []byte("found")))
	for i := 0; i < 40_000; i++ {
		put(t, files, fmt.Sprintf("many/%s%d", strings.Repeat("n", i%240), i), keep(t, contents, nil))
	}
	for i := 0; i < 66_000; i++ {
		put(t, files, fmt.Sprintf("below/%d", i), &tree.Node{Kind: tree.Directory, Mode: 0o755})
	}
	made := build(t, files, contents)
	if count := strings.Count(made.debugfs("ls -p /many"), "\n/"); count < 39_999 {
		t.Errorf("%d entries", count)
	}
	// More than the link count can hold.
	if said := made.debugfs("stat /below"); !strings.Contains(said, "Links: 1 ") {
		t.Error(said[:200])
	}
}

func TestPlannedSizes(t *testing.T) {
	for _, one := range []struct{ blocks, nodes, mib, inodes int64 }{
		{0, 10, 128, 8192},
		{256 * 1024, 10, 1152, 9 * 8192},
		{0, 2_000_000, 10432, 2_666_666 / 82 * 82},
	} {
		size := planned(one.blocks, one.nodes)
		groups := (size.MiB + groupMib - 1) / groupMib
		if size.MiB%stepMib != 0 || size.Inodes%groups != 0 || size.Inodes < one.nodes*4/3 || size.Inodes/groups > inodesPerGroupMax {
			t.Errorf("%+v", size)
		}
		if one.nodes == 10 && (size.MiB != one.mib || size.Inodes != one.inodes) {
			t.Errorf("%+v, and not %d MiB, %d inodes", size, one.mib, one.inodes)
		}
	}
}

// The published check value of CRC-32C, without the final inversion.
func TestChecksum(t *testing.T) {
	if sum := checksum(^uint32(0), []byte("123456789")); sum != ^uint32(0xe3069283) {
		t.Errorf("%#x", sum)
	}
}

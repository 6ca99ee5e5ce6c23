package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"image-builder/internal/refusal"
	"image-builder/internal/spool"
	"image-builder/internal/tree"
)

var roomy = Limits{Bytes: 1 << 30, Entries: 100_000}

func read(t *testing.T, stream []byte, limits Limits) (*tree.Tree, error) {
	t.Helper()
	contents, err := spool.Create(filepath.Join(t.TempDir(), "spool"))
	if err != nil {
		t.Fatal(err)
	}
	files := tree.New(time.Unix(0, 0))
	return files, Read(bytes.NewReader(stream), files, contents, limits)
}

// stream makes an archive. The content of an entry is its name, unless its size is 0.
func stream(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	writer := tar.NewWriter(&out)
	for i := range headers {
		if err := writer.WriteHeader(&headers[i]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(writer, strings.NewReader(strings.Repeat("x", int(headers[i].Size))), headers[i].Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func file(name string) tar.Header { return tar.Header{Name: name, Mode: 0o755, Size: 100} }

func refused(t *testing.T, err error, code refusal.Code, words string) {
	t.Helper()
	var got *refusal.Refusal
	if !errors.As(err, &got) || got.Code != code || !strings.Contains(got.Message, words) {
		t.Errorf("%v, and not %s %q", err, code, words)
	}
}

// An archive that is truncated at any position is refused.
func TestEveryCutIsSeen(t *testing.T) {
	whole := stream(t, file("a"), file(strings.Repeat("long/", 40)+"b"), tar.Header{Name: "d", Typeflag: tar.TypeDir})
	whole = whole[:len(bytes.TrimRight(whole, "\x00"))/512*512+512+endBytes]
	if _, err := read(t, whole, roomy); err != nil {
		t.Fatal(err)
	}
	for length := 0; length < len(whole); length += 64 {
		if _, err := read(t, whole[:length], roomy); err == nil {
			t.Fatalf("%d of %d bytes were taken for all", length, len(whole))
		}
	}
}

func TestWhatTarsCarry(t *testing.T) {
	late := time.Date(2400, 1, 1, 0, 0, 0, 500, time.UTC)
	name := strings.Repeat("ö", 120) + "\xff"
	files, err := read(t, stream(t,
		tar.Header{Name: "dir/" + strings.Repeat("ö", 120), Size: 3, Mode: 0o4755, Uid: 3_000_000_000, Gid: 7, ModTime: late, Format: tar.FormatPAX,
			PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "\x00\x01", "SCHILY.xattr.com.apple.quarantine": "x"}},
		tar.Header{Name: name[len(name)-1:], Typeflag: tar.TypeSymlink, Linkname: "dir", Format: tar.FormatGNU},
		tar.Header{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		tar.Header{Name: "pipe", Typeflag: tar.TypeFifo},
	), roomy)
	if err != nil {
		t.Fatal(err)
	}
	node := files.Root.Get("dir").Get(strings.Repeat("ö", 120))
	if node == nil || node.Mode != 0o4755 || node.UID != 3_000_000_000 || node.Seconds != late.Unix() || node.Nanoseconds != 500 {
		t.Errorf("%+v", node)
	}
	attributes := node.Rare().Attributes
	if len(attributes) != 1 || attributes[0].Name != "security.capability" || string(attributes[0].Value) != "\x00\x01" {
		t.Errorf("%+v", attributes)
	}
	if files.Root.Get("\xff").Kind != tree.Symlink || files.Root.Get("null").Rare().Minor != 3 || files.Root.Get("pipe").Kind != tree.Fifo {
		t.Error("a name that is no UTF-8, a device or a pipe is missing")
	}
}

func TestBounds(t *testing.T) {
	many := make([]tar.Header, 0, 100)
	for i := 0; i < 100; i++ {
		many = append(many, tar.Header{Name: fmt.Sprintf("%d", i)})
	}
	_, err := read(t, stream(t, many...), Limits{Bytes: 1 << 30, Entries: 99})
	refused(t, err, refusal.TooMany, "")
	_, err = read(t, stream(t, many...), Limits{Bytes: 100 * EntryBytes, Entries: 1000})
	refused(t, err, refusal.TooLarge, "")
	// Directories without an entry of their own count too.
	_, err = read(t, stream(t, tar.Header{Name: strings.Repeat("a/", 1000) + "b"}), Limits{Bytes: 1 << 30, Entries: 999})
	refused(t, err, refusal.TooMany, "")
	hole := tar.Header{Name: "hole", Size: 1 << 20}
	_, err = read(t, stream(t, hole), Limits{Bytes: 1 << 19, Entries: 9})
	refused(t, err, refusal.TooLarge, "")
}

func TestRefusals(t *testing.T) {
	for words, header := range map[string]tar.Header{
		"layer of a container image": file("etc/.wh.passwd"),
		"no Linux system has":        {Name: "x", Uid: -1, Format: tar.FormatGNU},
		"which Linux does not have":  {Name: "x", Typeflag: tar.TypeChar, Devmajor: 5000},
		"no link can have":           {Name: "x", Typeflag: tar.TypeSymlink},
		"contains '..'":              file("../x"),
		"which is not before it":     {Name: "x", Typeflag: tar.TypeLink, Linkname: "y"},
		"take more than 4000 bytes":  {Name: "x", PAXRecords: map[string]string{"SCHILY.xattr.user.a": strings.Repeat("x", 4000)}},
		"has more than 255 bytes":    file(strings.Repeat("n", 256)),
	} {
		_, err := read(t, stream(t, header), roomy)
		refused(t, err, refusal.Invalid, words)
	}
	_, err := read(t, bytes.Repeat([]byte("noise"), 1000), roomy)
	refused(t, err, refusal.Invalid, "does not look like a tar archive")
	_, err = read(t, nil, roomy)
	refused(t, err, refusal.Invalid, "is empty")
}

func TestProgramsForAnotherProcessor(t *testing.T) {
	elf := func(machine byte) []byte {
		return append([]byte("\x7fELF\x02\x01\x01"), append(make([]byte, 11), machine, 0, 0, 0)...)
	}
	var here, other programs
	for _, machine := range []byte{183, 243} {
		here.see(elf(machine))
		other.see(elf(machine))
	}
	here.see(elf(byte(machinesHere()[0])))
	if err := here.check(); err != nil {
		t.Error(err)
	}
	if len(machinesHere()) == 2 && machinesHere()[0] == 62 {
		refused(t, other.check(), refusal.Invalid, "for another processor: AARCH64, RISCV")
	}
	if err := new(programs).check(); err != nil {
		t.Error("a tree of scripts was refused")
	}
}

func TestAccessControlLists(t *testing.T) {
	binary := func(rules ...aclRule) string { return string(encodeACL(rules)) }
	owner, group, other := aclRule{aclOwner, 6, aclWithoutID}, aclRule{aclOwnerGroup, 4, aclWithoutID}, aclRule{aclOther, 0, aclWithoutID}
	mask, user := aclRule{aclMask, 6, aclWithoutID}, aclRule{aclUser, 7, 1000}
	whole := binary(owner, user, group, mask, other)
	for name, one := range map[string]struct {
		records map[string]string
		mode    uint16
		want    map[string]string
	}{
		"text":     {map[string]string{"SCHILY.acl.access": "user::rw-,user:1000:rwx,group::r--,mask::rw-,other::---"}, 0o660, map[string]string{"access": whole}},
		"lines":    {map[string]string{"SCHILY.acl.access": "other::---\nmask::rw-\nu::rw\ngroup::r--\nuser:1000:rwx\t#effective:rw-\n"}, 0o660, map[string]string{"access": whole}},
		"names":    {map[string]string{"SCHILY.acl.access": "user::rw-,user:alice:rwx:1000,group::r--,mask::rw-,other::---"}, 0o660, map[string]string{"access": whole}},
		"binary":   {map[string]string{"SCHILY.xattr.system.posix_acl_access": whole, "SCHILY.acl.access": "user:alice:rwx"}, 0o660, map[string]string{"access": whole}},
		"the mode": {map[string]string{"SCHILY.acl.access": "user::rw-,group::r--,other::---"}, 0o640, nil},
		"root":     {map[string]string{"SCHILY.acl.access": "user::rw-,user:root:rwx,group::r--,mask::rw-,other::---"}, 0o660, map[string]string{"access": binary(owner, aclRule{aclUser, 7, 0}, group, mask, other)}},
		"empty":    {map[string]string{"SCHILY.acl.access": "", "SCHILY.acl.default": "\n"}, 0o1777, nil},
		"default/": {map[string]string{"SCHILY.acl.default": "user::rw-,group::r--,other::---"}, 0o1777, map[string]string{"default": binary(owner, group, other)}},
	} {
		files, err := read(t, stream(t, tar.Header{Name: name, Mode: 0o1777, PAXRecords: one.records}), roomy)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		node := files.Root.Get(strings.TrimSuffix(name, "/"))
		if node.Mode != one.mode|0o1000 {
			t.Errorf("%s: mode %o", name, node.Mode)
		}
		attributes := node.Rare().Attributes
		if len(attributes) != len(one.want) {
			t.Errorf("%s: %+v", name, attributes)
		}
		for _, each := range attributes {
			if string(each.Value) != one.want[strings.TrimPrefix(each.Name, aclAttribute)] {
				t.Errorf("%s: %s is %x", name, each.Name, each.Value)
			}
		}
	}
}

func TestAccessControlListsThatNoGuestCanHave(t *testing.T) {
	base := "user::rw-,group::r--,other::---"
	for text, words := range map[string]string{
		base + ",user:alice:rwx,mask::rwx":      `it names "alice" without a number`,
		base + ",user:1000:rwx":                 "lacks an entry",
		"user::rw-,group::r--":                  "lacks an entry",
		base + ",other::r--":                    "lacks an entry, or has one twice",
		base + ",user:1:r--,user:1:rw-,mask::r": "two entries for one id",
		base + ",mask:7:rwx":                    "entry that Linux does not have",
		base + ",what::rwx":                     "lacks an entry",
		base + ",group:7":                       "not an entry",
		base + ",group:7:rwz,mask::r":           "not an entry",
		base + ",user:4294967295:r,mask::r":     "entry that Linux does not have",
		base + ",user:4294967296:r,mask::r":     "without a number",
	} {
		_, err := read(t, stream(t, tar.Header{Name: "x", PAXRecords: map[string]string{"SCHILY.acl.access": text}}), roomy)
		refused(t, err, refusal.Invalid, words)
	}
	for _, value := range []string{"x", "\x02\x00\x00\x00\x01", "\x01\x00\x00\x00"} {
		_, err := read(t, stream(t, tar.Header{Name: "x", PAXRecords: map[string]string{"SCHILY.xattr.system.posix_acl_access": value}}), roomy)
		refused(t, err, refusal.Invalid, "unknown form")
	}
	for name, header := range map[string]tar.Header{
		"file": {Name: "x", PAXRecords: map[string]string{"SCHILY.acl.default": base}},
		"link": {Name: "x", Typeflag: tar.TypeSymlink, Linkname: "y", PAXRecords: map[string]string{"SCHILY.acl.access": base}},
	} {
		_, err := read(t, stream(t, header), roomy)
		refused(t, err, refusal.Invalid, name)
	}
}

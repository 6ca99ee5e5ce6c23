package files

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"
)

const targetBytesMax = 1024

// Entry describes one file.
type Entry struct {
	// Name is the last part of the path; bytes that are not UTF-8 are replaced, and NameBase64 has them all.
	Name       string `json:"name"`
	NameBase64 string `json:"name_base64,omitempty"`
	// Type is file, directory, symlink, fifo, socket, char_device or block_device.
	Type string `json:"type"`
	Size int64  `json:"size"`
	// Mode has the permission bits with set-id and sticky.
	Mode  uint32 `json:"mode"`
	UID   uint32 `json:"uid"`
	GID   uint32 `json:"gid"`
	Owner string `json:"owner,omitempty"`
	Group string `json:"group,omitempty"`
	// ModifiedNs is in nanoseconds since 1970, as a string because JSON's numbers are too small.
	ModifiedNs string `json:"modified_ns"`
	// Version changes whenever the content or the attributes do.
	Version string `json:"version"`
	// Target is what a symbolic link points to; longer ones are left out, so that an entry has a bounded size.
	Target string `json:"target,omitempty"`
}

// Stat describes the file at path, and of a symbolic link what it points to if follow is set.
func Stat(path string, follow bool) (*Entry, error) {
	if err := checkPath(path); err != nil {
		return nil, err
	}
	var stat syscall.Stat_t
	look := syscall.Lstat
	if follow {
		look = syscall.Stat
	}
	if err := sanely(func() error { return look(path, &stat) }); err != nil {
		return nil, explain(path, err)
	}
	return describe(filepath.Base(path), path, &stat, readNames()), nil
}

func describe(name, path string, stat *syscall.Stat_t, names *names) *Entry {
	entry := &Entry{
		Name:       strings.ToValidUTF8(name, "\uFFFD"),
		Type:       typeOf(stat.Mode),
		Size:       stat.Size,
		Mode:       stat.Mode & 0o7777,
		UID:        stat.Uid,
		GID:        stat.Gid,
		Owner:      names.users[stat.Uid],
		Group:      names.groups[stat.Gid],
		ModifiedNs: strconv.FormatInt(stat.Mtim.Nano(), 10),
		Version:    versionOf(stat),
	}
	if !utf8.ValidString(name) {
		entry.NameBase64 = base64.StdEncoding.EncodeToString([]byte(name))
	}
	if entry.Type == "symlink" {
		if target, err := os.Readlink(path); err == nil && len(target) <= targetBytesMax {
			entry.Target = strings.ToValidUTF8(target, "\uFFFD")
		}
	}
	return entry
}

// versionOf: the kernel gives a changed file another change time, and a replaced one another inode.
func versionOf(stat *syscall.Stat_t) string {
	parts := []int64{int64(stat.Dev), int64(stat.Ino), stat.Size, stat.Mtim.Nano(), stat.Ctim.Nano()}
	words := make([]string, 0, len(parts))
	for _, part := range parts {
		words = append(words, strconv.FormatInt(part, 36))
	}
	return strings.Join(words, "-")
}

func typeOf(mode uint32) string {
	switch mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		return "directory"
	case syscall.S_IFLNK:
		return "symlink"
	case syscall.S_IFIFO:
		return "fifo"
	case syscall.S_IFSOCK:
		return "socket"
	case syscall.S_IFCHR:
		return "char_device"
	case syscall.S_IFBLK:
		return "block_device"
	}
	return "file"
}

// names are those of the guest's users and groups.
type names struct {
	users, groups map[uint32]string
}

// Larger files than this are no lists of users that a guest really has.
const nameFileBytesMax = 1 << 20

func readNames() *names {
	return &names{users: namesIn("/etc/passwd"), groups: namesIn("/etc/group")}
}

func namesIn(path string) map[uint32]string {
	found := map[uint32]string{}
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > nameFileBytesMax {
		return found
	}
	content, _ := os.ReadFile(path)
	for _, line := range strings.Split(string(content), "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 3 || fields[0] == "" {
			continue
		}
		number, err := strconv.ParseUint(fields[2], 10, 32)
		if _, known := found[uint32(number)]; err == nil && !known {
			found[uint32(number)] = fields[0]
		}
	}
	return found
}

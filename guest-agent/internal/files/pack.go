package files

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

// Pack writes a tar archive of a file or a tree, whose first entry has the given name, or the path's last part if that is
// empty; "." stands for the content of a directory, wherever it is unpacked. Owners, modes, times, hard links, holes, devices and extended attributes are kept, sockets are left out, and a directory on
// which another file system is mounted is empty. It ends in an error if a file changes while it is read.
func Pack(path, name string, out io.Writer) error {
	if err := checkPath(path); err != nil {
		return err
	}
	if name == ".." || strings.ContainsAny(name, "/\x00") {
		return invalid("%q: is no name for the first entry of an archive", name)
	}
	clean := filepath.Clean(path)
	var stat syscall.Stat_t
	// A link that was named itself is packed as such; "link/." is what it points to.
	if err := sanely(func() error { return syscall.Lstat(path, &stat) }); err != nil {
		return explain(path, err)
	}
	if name == "" {
		name = filepath.Base(clean)
	}
	if name == "/" {
		name = "."
	}
	p := &packer{out: out, root: path, device: uint64(stat.Dev), linked: map[inode]string{}, known: readNames()}
	if err := p.entry(path, name); err != nil {
		return err
	}
	return p.write(make([]byte, 2*tarBlockBytes))
}

type inode struct {
	device, number uint64
}

type packer struct {
	out    io.Writer
	root   string
	device uint64
	linked map[inode]string
	known  *names
}

func (p *packer) write(content []byte) error {
	_, err := p.out.Write(content)
	return err
}

func (p *packer) entry(path, name string) error {
	var stat syscall.Stat_t
	err := sanely(func() error { return syscall.Lstat(path, &stat) })
	if err == syscall.ENOENT && path != p.root {
		// Removed after its directory was read: the archive is of a moment after that.
		return nil
	}
	if err != nil {
		return explain(path, err)
	}
	header := &tarHeader{
		name: name, mode: stat.Mode & 0o7777, uid: stat.Uid, gid: stat.Gid,
		ownerName: p.known.users[stat.Uid], groupName: p.known.groups[stat.Gid],
		seconds: int64(stat.Mtim.Sec), fraction: int64(stat.Mtim.Nsec), records: map[string]string{},
	}
	id := inode{uint64(stat.Dev), stat.Ino}
	if first, known := p.linked[id]; known {
		header.kind, header.link = '1', first
		return p.write(header.encode())
	}
	kind := stat.Mode & syscall.S_IFMT
	if kind != syscall.S_IFDIR && stat.Nlink > 1 {
		p.linked[id] = name
	}
	if kind != syscall.S_IFLNK {
		if err := p.attributes(path, header); err != nil {
			return explain(path, err)
		}
	}
	switch kind {
	case syscall.S_IFREG:
		header.kind = '0'
		return p.file(path, header)
	case syscall.S_IFDIR:
		header.kind, header.name = '5', name+"/"
		return p.directory(path, name, header, &stat)
	case syscall.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return explain(path, err)
		}
		header.kind, header.link = '2', target
	case syscall.S_IFIFO:
		header.kind = '6'
	case syscall.S_IFCHR, syscall.S_IFBLK:
		header.kind = '3'
		if kind == syscall.S_IFBLK {
			header.kind = '4'
		}
		device := uint64(stat.Rdev)
		header.devMajor = uint32(device>>8&0xfff | device>>32&^0xfff)
		header.devMinor = uint32(device&0xff | device>>12&^0xff)
	default:
		return nil
	}
	return p.write(header.encode())
}

func (p *packer) attributes(path string, header *tarHeader) error {
	found, err := readXattrs(path)
	for name, value := range found {
		// The form has no place for such a name, and no value of it is lost silently.
		if strings.ContainsAny(name, "=\n") {
			return conflict("%s: the extended attribute %q fits no archive", path, name)
		}
		header.records["SCHILY.xattr."+name] = value
	}
	return err
}

func (p *packer) directory(path, name string, header *tarHeader, stat *syscall.Stat_t) error {
	if err := p.write(header.encode()); err != nil {
		return err
	}
	if uint64(stat.Dev) != p.device {
		return nil
	}
	found, err := namesAfter(path, "")
	if err != nil {
		return explain(path, err)
	}
	sort.Strings(found)
	for _, child := range found {
		if err := p.entry(filepath.Join(path, child), name+"/"+child); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) file(path string, header *tarHeader) error {
	reading, err := open(path, 0, -1, p.known)
	if err != nil {
		return err
	}
	defer reading.Close()
	if reading.Length < 0 {
		return conflict("%s: its size is unknown; get it by itself", path)
	}
	spans, err := spansOf(reading.file, reading.Length)
	if err != nil {
		return explain(path, err)
	}
	var data int64
	for _, span := range spans {
		data += span.length
	}
	if data == reading.Length {
		header.size = data
		return p.content(header, nil, reading, []span{{0, data}})
	}
	table := sparseMap(spans, reading.Length)
	header.records["GNU.sparse.major"] = "1"
	header.records["GNU.sparse.minor"] = "0"
	header.records["GNU.sparse.name"] = header.name
	header.records["GNU.sparse.realsize"] = strconv.FormatInt(reading.Length, 10)
	header.name = "GNUSparseFile.0/" + header.name
	header.size = int64(len(table)) + data
	return p.content(header, table, reading, spans)
}

// sparseMap says where the data belongs; see "Storing Sparse Files" in GNU tar's manual, version 1.0.
func sparseMap(spans []span, size int64) []byte {
	last := len(spans) - 1
	if last < 0 || spans[last].offset+spans[last].length < size {
		// A hole at the end is a span without data.
		spans = append(append([]span{}, spans...), span{size, 0})
	}
	var table strings.Builder
	fmt.Fprintf(&table, "%d\n", len(spans))
	for _, each := range spans {
		fmt.Fprintf(&table, "%d\n%d\n", each.offset, each.length)
	}
	return append([]byte(table.String()), make([]byte, padding(int64(table.Len())))...)
}

func (p *packer) content(header *tarHeader, table []byte, reading *Reading, spans []span) error {
	if err := p.write(header.encode()); err != nil {
		return err
	}
	if err := p.write(table); err != nil {
		return err
	}
	buffer := make([]byte, 64<<10)
	for _, each := range spans {
		if _, err := reading.file.Seek(each.offset, io.SeekStart); err != nil {
			return explain(reading.path, err)
		}
		n, err := io.CopyBuffer(p.out, io.LimitReader(onlyReader{reading.file}, each.length), buffer)
		if err != nil {
			return explain(reading.path, err)
		}
		if n < each.length {
			return reading.changed()
		}
	}
	if err := reading.verdict(); err != io.EOF {
		return err
	}
	return p.write(make([]byte, padding(header.size)))
}

// onlyReader hides other methods, so that io.CopyBuffer uses its buffer.
type onlyReader struct{ io.Reader }

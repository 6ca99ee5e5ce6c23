package files

import (
	"archive/tar"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"guest-agent/internal/guard"
	"guest-agent/internal/process"
)

// UnpackOptions says how an archive is unpacked.
type UnpackOptions struct {
	// Owner is who gets all files, USER or USER:GROUP by name or number; empty means those of the archive.
	Owner string
	// Parents makes the directory and those above it if they are missing.
	Parents bool
	Log     guard.Log
}

// Unpack unpacks a tar archive into the directory at path, over what is there. Each file appears as a whole or not at
// all; a directory never replaces a file, nor a file a directory. No name and no link in the archive or in the
// directory leads out of it. It returns the number of files, links and directories.
func Unpack(path string, archive io.Reader, options UnpackOptions) (int, error) {
	if err := checkPath(path); err != nil {
		return 0, err
	}
	u := &unpacker{archive: tar.NewReader(newSparseTar(archive))}
	if options.Owner != "" {
		owner, _, err := attributesOver("", Attributes{Owner: options.Owner}, 0)
		if err != nil {
			return 0, err
		}
		u.owner = &owner
	}
	if options.Parents {
		if err := makeParents(path); err != nil {
			return 0, err
		}
	}
	err := confined(path, options.Log, u.run)
	return u.count, explain(path, err)
}

// confined runs work in a thread of its own, for which the directory is the root directory.
func confined(root string, log guard.Log, work func() error) error {
	done := make(chan error, 1)
	var start func()
	start = func() {
		runtime.LockOSThread()
		if syscall.Gettid() == syscall.Getpid() {
			// The first thread stands for the process in /proc, so another one must do it. While this one is locked, the
			// next goroutine cannot get it.
			next := make(chan struct{})
			guard.Go("unpack", log, func() {
				defer close(next)
				start()
			})
			<-next
			runtime.UnlockOSThread()
			return
		}
		// Without an unlock the thread ends with its goroutine, and its root directory with it.
		failure := errors.New("the guest agent failed while it unpacked an archive")
		defer func() { done <- failure }()
		failure = enter(root)
		if failure == nil {
			failure = work()
		}
	}
	guard.Go("unpack", log, start)
	return <-done
}

func enter(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return syscall.ENOTDIR
	}
	if err := syscall.Unshare(syscall.CLONE_FS); err != nil {
		return err
	}
	if err := syscall.Chroot(root); err != nil {
		return err
	}
	return os.Chdir("/")
}

type unpacker struct {
	archive *tar.Reader
	owner   *process.Owner
	count   int
	// directories get their times last, because each file in them changes those.
	directories []*tar.Header
	// parent is the directory of the file before, which exists.
	parent string
	// sparse is what the archive says of the file that is being unpacked.
	sparse *sparseFile
}

func (u *unpacker) run() error {
	for {
		header, err := u.archive.Next()
		if err == io.EOF {
			break
		}
		if errors.Is(err, tar.ErrHeader) {
			return invalid("this is no tar archive, or a damaged one; a compressed one must be decompressed first")
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if u.sparse, err = sparseFileOf(header); err != nil {
			return err
		}
		if u.sparse != nil {
			header.Name = u.sparse.name
		}
		if err := u.entry(filepath.Join("/", header.Name), header); err != nil {
			return explain(header.Name, err)
		}
		u.count++
	}
	for i := len(u.directories) - 1; i >= 0; i-- {
		header := u.directories[i]
		if err := setTimes(filepath.Join("/", header.Name), header); err != nil {
			return explain(header.Name, err)
		}
	}
	return syncTree()
}

func (u *unpacker) entry(name string, header *tar.Header) error {
	if header.Typeflag == tar.TypeDir {
		return u.directory(name, header)
	}
	if name == "/" {
		return invalid("%q: is no name for a file", header.Name)
	}
	parent := filepath.Dir(name)
	if parent != u.parent {
		if err := os.MkdirAll(parent, directoryMode); err != nil {
			return err
		}
		u.parent = parent
	}
	if info, err := os.Lstat(name); err == nil && info.IsDir() {
		return conflict("%s: is a directory in the guest and none in the archive", header.Name)
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	temporary := filepath.Join(parent, temporaryName+hex.EncodeToString(random[:]))
	// A rename between two names of one file leaves both.
	defer os.Remove(temporary)
	if err := u.make(temporary, header); err != nil {
		return err
	}
	return os.Rename(temporary, name)
}

func (u *unpacker) make(path string, header *tar.Header) error {
	device := int(makeDevice(uint64(header.Devmajor), uint64(header.Devminor)))
	var err error
	switch header.Typeflag {
	case tar.TypeReg, 0, tar.TypeGNUSparse:
		err = u.file(path, header)
	case tar.TypeLink:
		// Its attributes are those of the file.
		return os.Link(filepath.Join("/", header.Linkname), path)
	case tar.TypeSymlink:
		err = os.Symlink(header.Linkname, path)
	case tar.TypeFifo:
		err = syscall.Mknod(path, syscall.S_IFIFO|0o600, 0)
	case tar.TypeChar:
		err = syscall.Mknod(path, syscall.S_IFCHR|0o600, device)
	case tar.TypeBlock:
		err = syscall.Mknod(path, syscall.S_IFBLK|0o600, device)
	default:
		return invalid("%s: is of an unknown type, %q", header.Name, header.Typeflag)
	}
	if err != nil {
		return err
	}
	if err := u.attributes(path, header); err != nil {
		return err
	}
	return setTimes(path, header)
}

func makeDevice(major, minor uint64) uint64 {
	return minor&0xff | major&0xfff<<8 | minor&^0xff<<12 | major&^0xfff<<32
}

func (u *unpacker) file(path string, header *tar.Header) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if u.sparse != nil {
		err = u.sparse.fill(file, u.archive)
	} else {
		err = copySparsely(file, u.archive, header.Size)
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	return err
}

func (u *unpacker) directory(name string, header *tar.Header) error {
	// A link to a directory, as /bin in most images, stays.
	info, err := os.Stat(name)
	switch {
	case err == nil && !info.IsDir():
		return conflict("%s: is a directory in the archive and none in the guest", header.Name)
	case err != nil && !os.IsNotExist(err):
		return err
	case err != nil:
		if err := os.MkdirAll(name, directoryMode); err != nil {
			return err
		}
	}
	if name == "/" || header.Name == "" {
		// The directory that was asked for is not the archive's.
		return nil
	}
	u.directories = append(u.directories, &tar.Header{Name: header.Name, ModTime: header.ModTime})
	return u.attributes(name, header)
}

func (u *unpacker) attributes(path string, header *tar.Header) error {
	uid, gid := header.Uid, header.Gid
	if u.owner != nil {
		uid, gid = int(u.owner.UID), int(u.owner.GID)
	}
	if err := os.Lchown(path, uid, gid); err != nil {
		return err
	}
	if header.Typeflag == tar.TypeSymlink {
		return nil
	}
	// After the owner, whose change clears set-id bits and capabilities.
	if err := syscall.Chmod(path, uint32(header.Mode&0o7777)); err != nil {
		return err
	}
	for key, value := range header.PAXRecords {
		if name := strings.TrimPrefix(key, "SCHILY.xattr."); name != key {
			if err := setXattr(path, name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func setTimes(path string, header *tar.Header) error {
	return lutimes(path, header.ModTime.Unix(), int64(header.ModTime.Nanosecond()))
}

// syncTree makes everything that was unpacked durable at once.
func syncTree() error {
	root, err := os.Open("/")
	if err != nil {
		return err
	}
	defer root.Close()
	if _, _, number := syscall.Syscall(sysSyncfs, root.Fd(), 0, 0); number != 0 {
		return number
	}
	return nil
}

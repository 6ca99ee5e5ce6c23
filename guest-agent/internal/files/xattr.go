package files

import (
	"strings"
	"syscall"
	"unsafe"
)

// The kernel's limits on the names of a file's extended attributes together, and on one value.
const (
	xattrNamesBytesMax = 64 << 10
	xattrValueBytesMax = 64 << 10
)

func isUnsupported(err error) bool {
	return err == syscall.ENOTSUP || err == syscall.ENOSYS || err == syscall.EINVAL
}

// readXattrs reads a file's extended attributes, among them its ACL and capabilities.
func readXattrs(path string) (map[string]string, error) {
	names := make([]byte, xattrNamesBytesMax)
	n, err := listxattr(path, names)
	if err != nil {
		if isUnsupported(err) {
			return nil, nil
		}
		return nil, err
	}
	found := map[string]string{}
	value := make([]byte, xattrValueBytesMax)
	for _, name := range strings.Split(string(names[:n]), "\x00") {
		if name == "" {
			continue
		}
		size, err := syscall.Getxattr(path, name, value)
		if err == syscall.ENODATA {
			continue
		}
		if err != nil {
			return nil, err
		}
		found[name] = string(value[:size])
	}
	return found, nil
}

func listxattr(path string, into []byte) (int, error) { return syscall.Listxattr(path, into) }

func setXattr(path, name, value string) error {
	err := syscall.Setxattr(path, name, []byte(value), 0)
	if isUnsupported(err) {
		return nil
	}
	return err
}

// lutimes sets the modification time of a file or of a link itself, in nanoseconds since 1970.
func lutimes(path string, seconds, nanoseconds int64) error {
	const (
		symlinkNoFollow = 0x100
		omit            = 0x3ffffffe
	)
	name, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	times := [2]syscall.Timespec{{Nsec: omit}, syscall.Timespec{Sec: seconds, Nsec: nanoseconds}}
	_, _, number := syscall.Syscall6(syscall.SYS_UTIMENSAT, uintptr(atFdcwd), uintptr(unsafe.Pointer(name)),
		uintptr(unsafe.Pointer(&times[0])), symlinkNoFollow, 0, 0)
	if number != 0 {
		return number
	}
	return nil
}

// Package files reads and changes files of the guest, as root and by absolute paths: what a path means is the
// guest's business alone. A write replaces its file as a whole or not at all; a read that cannot vouch for what it
// sent ends in an error.
package files

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Kind says whose fault an error is.
type Kind string

// The kinds of errors.
const (
	Invalid   Kind = "invalid"
	NotFound  Kind = "not_found"
	Conflict  Kind = "conflict"
	Exhausted Kind = "exhausted"
	Internal  Kind = "internal"
)

// Error is a refusal in words for the person who asked.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return e.Message }

func invalid(format string, words ...interface{}) *Error {
	return &Error{Kind: Invalid, Message: fmt.Sprintf(format, words...)}
}

func conflict(format string, words ...interface{}) *Error {
	return &Error{Kind: Conflict, Message: fmt.Sprintf(format, words...)}
}

// The kernel's limit on one path, with the NUL byte that ends it.
const pathBytesMax = 4096

// checkPath refuses what the kernel would not take, or would take in an unexpected way.
func checkPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return invalid("the path must be absolute: %q", path)
	case strings.IndexByte(path, 0) >= 0:
		return invalid("the path holds a NUL byte")
	case len(path) >= pathBytesMax:
		return invalid("the path is longer than %d bytes", pathBytesMax-1)
	}
	return nil
}

// explain gives an error of the system a kind, and names the path that it is about.
func explain(path string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	var number syscall.Errno
	if !errors.As(err, &number) {
		return &Error{Kind: Internal, Message: fmt.Sprintf("%s: %v", path, err)}
	}
	return &Error{Kind: kindOf(number), Message: fmt.Sprintf("%s: %s", path, wordsOf(number))}
}

func kindOf(number syscall.Errno) Kind {
	switch number {
	case syscall.ENOENT:
		return NotFound
	case syscall.EEXIST, syscall.ENOTEMPTY, syscall.EBUSY, syscall.ETXTBSY:
		return Conflict
	case syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM:
		return Exhausted
	case syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.EISDIR, syscall.ENOTDIR, syscall.ELOOP,
		syscall.ENAMETOOLONG, syscall.EINVAL, syscall.EXDEV, syscall.EFBIG, syscall.ENXIO, syscall.ENODEV,
		syscall.ENOTSUP:
		return Invalid
	}
	return Internal
}

func wordsOf(number syscall.Errno) string {
	switch number {
	case syscall.ENOENT:
		return "no such file or directory"
	case syscall.EXDEV:
		return "is on another file system, to which nothing can be moved; copy it instead"
	case syscall.ENOSPC:
		return "the guest's disk is full"
	}
	return number.Error()
}

// sanely calls a function of the system again when a signal interrupted it.
func sanely(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

// openFile opens without waiting: not for the other end of a pipe, and not for a terminal's line.
func openFile(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, flags|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
}

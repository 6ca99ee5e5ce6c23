package commands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	logMode = 0o600
	// A file system that takes this much takes a block.
	blockBytes = 4096
)

// Standing is what has become of a log.
type Standing string

// The standings of a log.
const (
	// Removed: all of it was sent, and the file is no longer there.
	LogRemoved Standing = "removed"
	// Kept: the file is there.
	LogKept Standing = "kept"
	// Gone: the file is needed, but the command has removed it.
	LogGone Standing = "gone"
)

// Log is a file that a command writes both of its outputs to, in the order in which they are written. The agent keeps it
// open, because commands remove what is in /tmp.
type Log struct {
	file *os.File
}

// OpenLog makes the file in the first of the directories that takes a block of it: a full or read-only disk does not
// swallow the output. A file that is there already is never used.
func OpenLog(name string, directories []string) (*Log, error) {
	for _, directory := range directories {
		path := filepath.Join(directory, name)
		file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, logMode)
		if err != nil {
			continue
		}
		log := &Log{file: file}
		if log.takesBlock() {
			return log, nil
		}
		log.Remove()
		log.Close()
	}
	return nil, fmt.Errorf("no log can be written to any of: %s", strings.Join(directories, " "))
}

func (l *Log) takesBlock() bool {
	if _, err := l.file.Write(make([]byte, blockBytes)); err != nil {
		return false
	}
	return l.file.Truncate(0) == nil
}

// File is open for reading at any offset, and for appending.
func (l *Log) File() *os.File { return l.file }

// Path is where the file was made.
func (l *Log) Path() string { return l.file.Name() }

// Remove removes the file, unless another one is in its place.
func (l *Log) Remove() {
	if l.isThere() {
		_ = os.Remove(l.Path())
	}
}

// Close ends the agent's use of the file.
func (l *Log) Close() { _ = l.file.Close() }

// Standing says whether the file is where it was made.
func (l *Log) Standing() Standing {
	if l.isThere() {
		return LogKept
	}
	return LogGone
}

func (l *Log) isThere() bool {
	ours, err := l.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(l.Path())
	return err == nil && os.SameFile(ours, there)
}

// Settle decides what becomes of the log of a command that has ended, of which up to sentMax bytes were sent: it is
// removed, unless it has more. Full: its disk takes nothing, so that it may lack output.
func (l *Log) Settle(sentMax int64) (standing Standing, isFull bool) {
	info, err := l.file.Stat()
	if err == nil && info.Size() <= sentMax {
		_, err := l.file.Write([]byte{0})
		l.Remove()
		return LogRemoved, err != nil
	}
	if !l.isThere() {
		return LogGone, false
	}
	return LogKept, !takesFile(l.Path() + ".end")
}

// takesFile reports whether a file with content can be made, of which nothing is left.
func takesFile(path string) bool {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, logMode)
	if err != nil {
		return errors.Is(err, os.ErrExist)
	}
	_, err = file.Write([]byte{0})
	_ = file.Close()
	_ = os.Remove(path)
	return err == nil
}

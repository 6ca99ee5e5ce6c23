package userdata

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	logPath = "/var/log/flotilla-user-data.log"
	// How much of the log one run writes.
	logBytesMax = 1 << 20
)

// logFile keeps the output of all parts. Without a file it keeps nothing: the console has the progress.
type logFile struct {
	file *os.File
	left int
}

func openLog(path string) *logFile {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return &logFile{}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return &logFile{}
	}
	return &logFile{file: file, left: logBytesMax}
}

func (l *logFile) line(text string) { l.write([]byte("flotilla: " + text + "\n")) }

// write drops what is over the limit, with a note.
func (l *logFile) write(data []byte) {
	if l.file == nil || l.left <= 0 {
		return
	}
	isOver := len(data) > l.left
	if isOver {
		data = data[:l.left]
	}
	l.left -= len(data)
	if _, err := l.file.Write(data); err != nil {
		l.left = 0
		return
	}
	if isOver {
		_, _ = fmt.Fprintf(l.file, "\nflotilla: output beyond %d bytes is not kept\n", logBytesMax)
	}
}

func (l *logFile) close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

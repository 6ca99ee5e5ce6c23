package system

import (
	"fmt"
	"os"
)

// Priorities of kernel messages. A guest booted with `quiet` shows only those below 4 on its console.
const (
	kmsgCritical = 2
	kmsgError    = 3
	kmsgInfo     = 6
)

const kmsgPath = "/dev/kmsg"

// Log writes a line to the kernel's log, not to the console.
func Log(format string, args ...interface{}) { kmsg(kmsgInfo, format, args...) }

// Complain writes a line to the kernel's log and the console.
func Complain(format string, args ...interface{}) { kmsg(kmsgError, format, args...) }

func kmsg(priority int, format string, args ...interface{}) {
	line := "flotilla: " + fmt.Sprintf(format, args...) + "\n"
	file, err := os.OpenFile(kmsgPath, os.O_WRONLY, 0)
	if err != nil {
		_, _ = os.Stderr.WriteString(line)
		return
	}
	defer file.Close()
	_, _ = file.WriteString(fmt.Sprintf("<%d>", priority) + line)
}

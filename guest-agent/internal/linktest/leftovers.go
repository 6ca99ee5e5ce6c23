package linktest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// A package's tests that take longer than this hang; the host's own time limit would leave their programs behind.
	testsMax       = 100 * time.Second
	setChildReaper = 36
)

// RunTests runs a package's tests and ends what their programs leave behind, stopped ones among them, also when the tests
// hang.
func RunTests(m *testing.M) int {
	// Orphans become children of this process, so that they are found.
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setChildReaper, 1, 0)
	watchdog := time.AfterFunc(testsMax, func() {
		endDescendants()
		fmt.Fprintf(os.Stderr, "the tests did not end within %v\n", testsMax)
		os.Exit(1)
	})
	defer watchdog.Stop()
	defer endDescendants()
	return m.Run()
}

func endDescendants() {
	parents := map[int]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(content[strings.LastIndexByte(string(content), ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parents[pid], _ = strconv.Atoi(fields[1])
	}
	for pid := range parents {
		for ancestor := parents[pid]; ancestor > 1; ancestor = parents[ancestor] {
			if ancestor == os.Getpid() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				break
			}
		}
	}
}

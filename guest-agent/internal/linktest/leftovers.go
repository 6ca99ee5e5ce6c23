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
	// Tests of a package that take longer hang; the host's own limit would leave their programs behind.
	testsMax       = 100 * time.Second
	setChildReaper = 36
)

// RunTests runs a package's tests and kills the programs that they leave behind, including stopped ones, even
// if the tests hang.
func RunTests(m *testing.M) int {
	// Orphans become children of this process, so that they can be found.
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

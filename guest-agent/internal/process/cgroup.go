package process

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	cgroupMode = 0o755
	// A cgroup can be removed once its killed members are gone, which takes the kernel a moment.
	cgroupRemoveTries = 50
	cgroupRemoveWait  = 20 * time.Millisecond
	// Cgroups of commands that left something behind, looked at again for each new command.
	cgroupRetries = 4
)

// Cgroups makes a cgroup for each process below a directory of a mounted cgroup2, so that all its descendants can be
// ended at once, wherever they went. Nil: there are none.
type Cgroups struct {
	directory string

	mu        sync.Mutex
	made      uint64
	abandoned []string
}

// OpenCgroups makes directory, which is to be in a mounted cgroup2, and returns nil when the kernel cannot end cgroups.
func OpenCgroups(directory string) *Cgroups {
	if err := os.Mkdir(directory, cgroupMode); err != nil && !os.IsExist(err) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(directory, "cgroup.kill")); err != nil {
		return nil
	}
	return &Cgroups{directory: directory}
}

// cgroup is that of one process.
type cgroup struct {
	path string
	file *os.File
}

func (c *Cgroups) create() (*cgroup, error) {
	c.retry()
	c.mu.Lock()
	c.made++
	path := filepath.Join(c.directory, strconv.FormatUint(c.made, 10))
	c.mu.Unlock()
	if err := os.Mkdir(path, cgroupMode); err != nil && !os.IsExist(err) {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	return &cgroup{path: path, file: file}, nil
}

// isCgroupRefusal tells of errors that no program gives when it is run.
func isCgroupRefusal(err error) bool {
	return err == syscall.ENODEV || err == syscall.EBUSY || err == syscall.EOPNOTSUPP || err == syscall.ENOSYS
}

// kill ends all members; false when the kernel would not.
func (c *cgroup) kill() bool {
	return os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0) == nil
}

// add moves a process that was not started in the cgroup into it.
func (c *cgroup) add(pid int) error {
	return os.WriteFile(filepath.Join(c.path, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// isEmpty tells that no process is left in it or below it.
func (c *cgroup) isEmpty() bool {
	events, err := os.ReadFile(filepath.Join(c.path, "cgroup.events"))
	return err != nil || strings.Contains(string(events), "populated 0")
}

// remove gives a cgroup back. What still lives in it, because it was left behind on purpose, keeps it for now.
func (c *Cgroups) remove(group *cgroup) {
	_ = group.file.Close()
	for try := 0; try < cgroupRemoveTries && group.isEmpty(); try++ {
		if err := syscall.Rmdir(group.path); err != syscall.EBUSY {
			return
		}
		time.Sleep(cgroupRemoveWait)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abandoned = append(c.abandoned, group.path)
}

// retry removes some of those that were kept.
func (c *Cgroups) retry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for try := 0; try < cgroupRetries && len(c.abandoned) > 0; try++ {
		path := c.abandoned[0]
		c.abandoned = c.abandoned[1:]
		if syscall.Rmdir(path) == syscall.EBUSY {
			c.abandoned = append(c.abandoned, path)
		}
	}
}

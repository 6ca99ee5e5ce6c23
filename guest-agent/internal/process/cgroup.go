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
	// A cgroup can be removed only once its killed members are gone, which takes the kernel a moment.
	cgroupRemoveTries = 50
	cgroupRemoveWait  = 20 * time.Millisecond
	// How many cgroups of commands with leftover processes are retried for each new command.
	cgroupRetries = 4
)

// Cgroups makes a cgroup for each process below a directory of a mounted cgroup2, so that all its descendants
// can be killed at once. Nil: not available.
type Cgroups struct {
	directory string

	mu        sync.Mutex
	made      uint64
	abandoned []string
}

// OpenCgroups makes directory, which must be in a mounted cgroup2; nil when the kernel cannot kill cgroups.
func OpenCgroups(directory string) *Cgroups {
	if err := os.Mkdir(directory, cgroupMode); err != nil && !os.IsExist(err) {
		return nil
	}
	if _, err := os.Stat(filepath.Join(directory, "cgroup.kill")); err != nil {
		return nil
	}
	for _, parent := range []string{filepath.Dir(directory), directory} {
		shareProcessor(parent)
	}
	return &Cgroups{directory: directory}
}

// shareProcessor makes the kernel divide processor time among the cgroups below a directory, not among all their
// processes: else a command that forks without end leaves the agent too little of it to end the command in time. Where
// the kernel cannot, commands run all the same.
func shareProcessor(directory string) {
	_ = os.WriteFile(filepath.Join(directory, "cgroup.subtree_control"), []byte("+cpu"), 0)
}

// cgroup is the cgroup of one process.
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

// isCgroupRefusal recognises errors that a program itself never causes.
func isCgroupRefusal(err error) bool {
	return err == syscall.ENODEV || err == syscall.EBUSY || err == syscall.EOPNOTSUPP || err == syscall.ENOSYS
}

// kill kills all members; false when the kernel refuses.
func (c *cgroup) kill() bool {
	return os.WriteFile(filepath.Join(c.path, "cgroup.kill"), []byte("1"), 0) == nil
}

// add moves a process into the cgroup that was not started there.
func (c *cgroup) add(pid int) error {
	return os.WriteFile(filepath.Join(c.path, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0)
}

// isEmpty reports that no process is in it or below it.
func (c *cgroup) isEmpty() bool {
	events, err := os.ReadFile(filepath.Join(c.path, "cgroup.events"))
	return err != nil || strings.Contains(string(events), "populated 0")
}

// remove deletes a cgroup. One with processes left behind on purpose is kept for now.
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

// retry removes some of the kept cgroups.
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

//go:build go1.20

package process

import "syscall"

// enter starts the process inside the cgroup, before it can fork.
func (c *cgroup) enter(attributes *syscall.SysProcAttr) {
	attributes.UseCgroupFD = true
	attributes.CgroupFD = int(c.file.Fd())
}

func leaveCgroup(attributes *syscall.SysProcAttr) {
	attributes.UseCgroupFD = false
}

const entersAtStart = true

//go:build !go1.20

package process

import "syscall"

// enter does nothing: this Go cannot start a process in a cgroup. It is moved there as soon as it runs.
func (c *cgroup) enter(*syscall.SysProcAttr) {}

func leaveCgroup(*syscall.SysProcAttr) {}

const entersAtStart = false

//go:build !go1.20

package process

import "syscall"

// enter does nothing: this Go version cannot start a process in a cgroup, so it is moved there once it runs.
func (c *cgroup) enter(*syscall.SysProcAttr) {}

func leaveCgroup(*syscall.SysProcAttr) {}

const entersAtStart = false

package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Numbers of prctl, capset and close_range that the syscall package does not have.
const (
	prSetPdeathsig       = 1
	prCapbsetDrop        = 24
	prSetNoNewPrivs      = 38
	prCapAmbient         = 47
	prCapAmbientClearAll = 4
	capabilityVersion3   = 0x20080522
	sysCloseRange        = 436
	closeRangeCloexec    = 4
)

// limitResources bounds what the VMM may write to one file, and takes core dumps away: they hold the guest's memory.
func limitResources(spec *Spec) error {
	limits := []struct {
		resource int
		max      uint64
	}{{syscall.RLIMIT_FSIZE, spec.FileBytesMax}, {syscall.RLIMIT_CORE, 0}}
	for _, limit := range limits {
		if err := syscall.Setrlimit(limit.resource, &syscall.Rlimit{Cur: limit.max, Max: limit.max}); err != nil {
			return fmt.Errorf("limit resources: %w", err)
		}
	}
	return nil
}

// dropRights leaves this thread, which becomes the VMM, without groups, capabilities, a way to gain any, or descriptors
// beyond its standard ones.
func dropRights(spec *Spec) error {
	if err := dropBoundingSet(); err != nil {
		return err
	}
	if spec.UID != nil {
		if err := becomeUser(*spec.UID, spec.Groups); err != nil {
			return err
		}
	}
	if err := clearCapabilities(); err != nil {
		return err
	}
	if errno := prctl(prSetNoNewPrivs, 1, 0); errno != 0 {
		return fmt.Errorf("set no_new_privs: %w", errno)
	}
	if spec.DiesWithShim {
		// The change of user has cleared it.
		if errno := prctl(prSetPdeathsig, uintptr(syscall.SIGKILL), 0); errno != 0 {
			return fmt.Errorf("set the parent's death signal: %w", errno)
		}
	}
	// Whatever the daemon has left open; a kernel before 5.11 does not know the call, and the daemon's files close by themselves.
	_, _, _ = syscall.RawSyscall(sysCloseRange, 3, uintptr(^uint32(0)), closeRangeCloexec)
	return nil
}

// becomeUser makes the raw calls: the VMM is this thread alone, and Go's own would stop on threads that may not.
func becomeUser(uid int, groups []int) error {
	ids := make([]uint32, len(groups)+1)
	for i, group := range groups {
		ids[i] = uint32(group)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&ids[0])), 0); errno != 0 {
		return fmt.Errorf("set groups: %w", errno)
	}
	id := uintptr(uid)
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESGID, id, id, id); errno != 0 {
		return fmt.Errorf("set group %d: %w", uid, errno)
	}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, id, id, id); errno != 0 {
		return fmt.Errorf("set user %d: %w", uid, errno)
	}
	return nil
}

// dropBoundingSet fails only where this thread may not, and then it has nothing to drop.
func dropBoundingSet() error {
	for capability := uintptr(0); ; capability++ {
		switch errno := prctl(prCapbsetDrop, capability, 0); errno {
		case 0:
		case syscall.EINVAL, syscall.EPERM:
			return nil
		default:
			return fmt.Errorf("drop capability %d: %w", capability, errno)
		}
	}
}

func clearCapabilities() error {
	_ = prctl(prCapAmbient, prCapAmbientClearAll, 0)
	header := struct {
		version uint32
		pid     int32
	}{version: capabilityVersion3}
	var none [2]struct{ effective, permitted, inheritable uint32 }
	_, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none)), 0)
	if errno != 0 {
		return fmt.Errorf("drop capabilities: %w", errno)
	}
	return nil
}

func prctl(option int, first, second uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, uintptr(option), first, second, 0, 0, 0)
	return errno
}

package main

import (
	"fmt"
	"syscall"
	"unsafe"
)

// Numbers of prctl, capset and close_range that the syscall package lacks.
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

// limitResources limits the size of files that the VMM writes and disables core dumps, which would contain
// the guest's memory.
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

// dropRights removes this thread's groups, capabilities, ways to gain capabilities, and descriptors beyond
// the standard ones. The thread then becomes the VMM.
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
		// Set again, because the change of user has cleared it.
		if errno := prctl(prSetPdeathsig, uintptr(syscall.SIGKILL), 0); errno != 0 {
			return fmt.Errorf("set the parent's death signal: %w", errno)
		}
	}
	// Marks all descriptors left open by the daemon close-on-exec. Kernels before 5.11 lack this call; there the
	// daemon's descriptors are close-on-exec already.
	_, _, _ = syscall.RawSyscall(sysCloseRange, 3, uintptr(^uint32(0)), closeRangeCloexec)
	return nil
}

// becomeUser makes raw system calls for this thread only. Go's own functions change all threads and fail on
// threads that lack the right.
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

// dropBoundingSet ignores EPERM: a thread without the right has nothing to drop.
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

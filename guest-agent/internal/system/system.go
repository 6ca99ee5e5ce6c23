// Package system is what the guest agent does as the first process of a guest: it brings the guest up, gives it its
// identity and takes it down. It knows nothing of the link.
package system

import (
	"sync"
	"syscall"
	"time"
)

// Identity is who this guest is to be.
type Identity struct {
	Hostname string
	// MachineID is 32 hexadecimal digits.
	MachineID string
	// Time is now, as the host has it.
	Time time.Time
	// Entropy is 64 bytes that no other guest was given.
	Entropy []byte
}

// Mode is a way to go down.
type Mode string

// The ways to go down. A halted guest is powered off too: nothing could be done with one that hangs.
const (
	Poweroff Mode = "poweroff"
	Reboot   Mode = "reboot"
	Halt     Mode = "halt"
)

// ParseMode tells whether text is a Mode.
func ParseMode(text string) (Mode, bool) {
	switch mode := Mode(text); mode {
	case Poweroff, Reboot, Halt:
		return mode, true
	}
	return "", false
}

// System is the guest as its calls see it.
type System interface {
	// Identify makes the guest who it is to be. Repeatable.
	Identify(identity Identity) error
	// Shutdown ends all processes and acts. On a real guest it does not return.
	Shutdown(mode Mode)
}

// Recorder is a System that only remembers: for an agent that runs outside a virtual machine.
type Recorder struct {
	mu         sync.Mutex
	identities []Identity
	modes      []Mode
}

// Identify remembers the identity.
func (r *Recorder) Identify(identity Identity) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Only the last few: a recorder may serve a long-lived agent.
	const identitiesMax = 16
	if len(r.identities) == identitiesMax {
		r.identities = r.identities[1:]
	}
	r.identities = append(r.identities, identity)
	return nil
}

// Shutdown remembers the mode.
func (r *Recorder) Shutdown(mode Mode) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.modes = append(r.modes, mode)
}

// Identities returns the last identities given.
func (r *Recorder) Identities() []Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Identity{}, r.identities...)
}

// Modes returns the shutdowns asked for.
func (r *Recorder) Modes() []Mode {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Mode{}, r.modes...)
}

// KernelRelease is what uname -r prints.
func KernelRelease() string {
	var name syscall.Utsname
	if err := syscall.Uname(&name); err != nil {
		return "unknown"
	}
	var release []byte
	for _, c := range name.Release {
		if c == 0 {
			break
		}
		release = append(release, byte(c))
	}
	return string(release)
}

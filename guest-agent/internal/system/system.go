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
}

// Sync is what a guest cannot keep while it stands still.
type Sync struct {
	// Time is now, as the host has it.
	Time time.Time
	// Entropy is 64 bytes that no other guest was given.
	Entropy []byte
}

// Stop is a shutdown that was asked for.
type Stop struct {
	Mode  Mode
	Grace time.Duration
}

// DefaultGrace is how long processes have to end by themselves when the guest itself asked to go down, or the host did not
// say.
const DefaultGrace = 8 * time.Second

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
	// Resync sets the clock and adds entropy. Repeatable.
	Resync(now time.Time, entropy []byte) error
	// Shutdown lets all processes end, ends those that have not after the grace, and acts. On a real guest it does not
	// return.
	Shutdown(mode Mode, grace time.Duration)
}

// Recorder is a System that only remembers: for an agent that runs outside a virtual machine.
type Recorder struct {
	mu         sync.Mutex
	identities []Identity
	syncs      []Sync
	stops      []Stop
}

// Only the last few are remembered: a recorder may serve a long-lived agent.
const recordedMax = 16

// Identify remembers the identity.
func (r *Recorder) Identify(identity Identity) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.identities) == recordedMax {
		r.identities = r.identities[1:]
	}
	r.identities = append(r.identities, identity)
	return nil
}

// Resync remembers what it was given.
func (r *Recorder) Resync(now time.Time, entropy []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.syncs) == recordedMax {
		r.syncs = r.syncs[1:]
	}
	r.syncs = append(r.syncs, Sync{Time: now, Entropy: entropy})
	return nil
}

// Shutdown remembers what was asked for.
func (r *Recorder) Shutdown(mode Mode, grace time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stops = append(r.stops, Stop{Mode: mode, Grace: grace})
}

// Identities returns the last identities given.
func (r *Recorder) Identities() []Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Identity{}, r.identities...)
}

// Syncs returns the last times and entropy given.
func (r *Recorder) Syncs() []Sync {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Sync{}, r.syncs...)
}

// Stops returns the shutdowns asked for.
func (r *Recorder) Stops() []Stop {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Stop{}, r.stops...)
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

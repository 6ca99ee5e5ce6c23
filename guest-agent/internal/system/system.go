// Package system is the guest agent's work as the first process of a guest: it starts the guest, sets its
// identity and shuts it down. It knows nothing about the link.
package system

import (
	"net"
	"sync"
	"syscall"
	"time"

	"guest-agent/internal/dhcp"
	"guest-agent/internal/network"
)

// Identity is the identity of this guest.
type Identity struct {
	Hostname string
	// MachineID is 32 hexadecimal digits.
	MachineID string
}

// Sync is what a paused or copied guest cannot keep.
type Sync struct {
	// Time is the host's current time.
	Time time.Time
	// Entropy is 64 bytes that no other guest was given.
	Entropy []byte
}

// Stop is a requested shutdown.
type Stop struct {
	Mode  Mode
	Grace time.Duration
}

// DefaultGrace is how long processes may take to exit by themselves if the guest itself requested the
// shutdown, or the host did not say.
const DefaultGrace = 8 * time.Second

// Mode is a kind of shutdown.
type Mode string

// The kinds of shutdown. Halt powers off too: a halted guest would be useless.
const (
	Poweroff Mode = "poweroff"
	Reboot   Mode = "reboot"
	Halt     Mode = "halt"
)

// ParseMode reports whether text is a Mode.
func ParseMode(text string) (Mode, bool) {
	switch mode := Mode(text); mode {
	case Poweroff, Reboot, Halt:
		return mode, true
	}
	return "", false
}

// System is the guest as seen by the calls.
type System interface {
	// Identify sets the identity. Idempotent. Returns what of it could not be written.
	Identify(identity Identity) (problems []string, err error)
	// Resync adds entropy and sets the clock. Idempotent.
	Resync(now time.Time, entropy []byte) error
	// ConfigureNetwork makes the interface as planned. Idempotent. Returns network.ErrNoInterface.
	ConfigureNetwork(plan network.Plan) error
	// AdoptInterface gives the guest's interface another hardware address, without what it had under the former one; it is
	// down until ConfigureNetwork. Without an address, all of the guest's interfaces are only emptied. Idempotent. Returns
	// network.ErrNoInterface.
	AdoptInterface(mac net.HardwareAddr) error
	// ReloadSSHD makes running SSH servers read their host keys again.
	ReloadSSHD() error
	// DHCPLink reaches the DHCP servers of the network of an interface. Returns network.ErrNoInterface.
	DHCPLink(mac net.HardwareAddr) (dhcp.Link, error)
	// Shutdown lets all processes exit, kills the remaining ones after the grace, and acts. In a real guest it
	// does not return.
	Shutdown(mode Mode, grace time.Duration)
}

// Recorder is a System that only records calls, for an agent outside a virtual machine.
type Recorder struct {
	mu         sync.Mutex
	identities []Identity
	syncs      []Sync
	stops      []Stop
	plans      []network.Plan
	adopted    []string
	reloads    int
	// NetworkError is what ConfigureNetwork and AdoptInterface return.
	NetworkError error
	// IdentityProblems is what Identify returns.
	IdentityProblems []string
	// Servers is what DHCPLink returns; nil: servers that are silent.
	Servers dhcp.Link
}

// Only the last few are kept: a recorder may serve a long-lived agent.
const recordedMax = 16

// Identify remembers the identity.
func (r *Recorder) Identify(identity Identity) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.identities) == recordedMax {
		r.identities = r.identities[1:]
	}
	r.identities = append(r.identities, identity)
	return r.IdentityProblems, nil
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

// ConfigureNetwork remembers the plan.
func (r *Recorder) ConfigureNetwork(plan network.Plan) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.plans) == recordedMax {
		r.plans = r.plans[1:]
	}
	r.plans = append(r.plans, plan)
	return r.NetworkError
}

// AdoptInterface remembers the address.
func (r *Recorder) AdoptInterface(mac net.HardwareAddr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.adopted) == recordedMax {
		r.adopted = r.adopted[1:]
	}
	r.adopted = append(r.adopted, mac.String())
	return r.NetworkError
}

// ReloadSSHD counts: the servers of this host are not the guest's.
func (r *Recorder) ReloadSSHD() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reloads++
	return nil
}

// Adopted returns the last hardware addresses given, each empty for none.
func (r *Recorder) Adopted() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.adopted...)
}

// Reloads returns how often SSH servers were to read their keys.
func (r *Recorder) Reloads() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reloads
}

// DHCPLink returns Servers.
func (r *Recorder) DHCPLink(net.HardwareAddr) (dhcp.Link, error) {
	if r.Servers == nil {
		return silent{}, r.NetworkError
	}
	return r.Servers, r.NetworkError
}

// silent is a network without a DHCP server.
type silent struct{}

func (silent) Broadcast(_ []byte, wait time.Duration, _ dhcp.Accept, stop <-chan struct{}) error {
	select {
	case <-time.After(wait):
	case <-stop:
	}
	return dhcp.ErrSilent
}

func (s silent) Unicast(message []byte, _, _ net.IP, wait time.Duration, accept dhcp.Accept, stop <-chan struct{}) error {
	return s.Broadcast(message, wait, accept, stop)
}

// Plans returns the last plans of the network given.
func (r *Recorder) Plans() []network.Plan {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]network.Plan{}, r.plans...)
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

// KernelRelease is the output of uname -r.
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

package dhcp

import (
	"bytes"
	"math/rand"
	"net"
	"sync"
	"time"

	"guest-agent/internal/guard"
)

// Status is what a follower has at a moment.
type Status struct {
	// Change counts the changes so far, beginning with 1.
	Change int64
	// Lease is nil while there is none.
	Lease *Lease
	// Until is when the lease ends unless it is prolonged.
	Until time.Time
	// Problem says why the lease is not in use; empty: it is.
	Problem string
}

// Follower keeps one interface at what the servers of its network say. The zero value follows nothing.
type Follower struct {
	mu      sync.Mutex
	mac     net.HardwareAddr
	stop    chan struct{}
	wake    chan struct{}
	status  Status
	changed chan struct{}
}

// Follow begins to follow the interface, or, when it is followed already, confirms its lease at once. Apply makes the
// interface as the lease says, and without any address for nil.
func (f *Follower) Follow(mac net.HardwareAddr, link Link, clock Clock, apply func(*Lease) error, log guard.Log) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop != nil && bytes.Equal(f.mac, mac) {
		select {
		case f.wake <- struct{}{}:
		default:
		}
		return
	}
	f.end()
	stop, wake := make(chan struct{}), make(chan struct{}, 1)
	f.mac, f.stop, f.wake = mac, stop, wake
	f.set(Status{})
	c := &client{
		mac: mac, link: link, clock: clock, log: log, stop: stop, wake: wake,
		random: rand.New(rand.NewSource(clock.Now().UnixNano() ^ int64(mac[5]))),
	}
	c.changed = func(lease *Lease) {
		// Whoever stops it can be sure that nothing is applied any more.
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.stop != stop {
			return
		}
		status := Status{Lease: lease}
		if lease != nil {
			status.Until = clock.Now().Add(lease.Duration)
		}
		if err := apply(lease); err != nil {
			status.Problem = err.Error()
			log("dhcp: %v", err)
		}
		f.set(status)
	}
	guard.Go("the DHCP client", log, c.run)
}

// IsFollowing reports whether the interface is followed.
func (f *Follower) IsFollowing(mac net.HardwareAddr) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stop != nil && bytes.Equal(f.mac, mac)
}

// Stop ends following. The interface stays as it is.
func (f *Follower) Stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.end()
	f.set(Status{})
}

// Status returns the present status, and a channel that is closed at the next change.
func (f *Follower) Status() (Status, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.set(Status{})
	}
	return f.status, f.changed
}

func (f *Follower) end() {
	if f.stop != nil {
		close(f.stop)
	}
	f.stop, f.wake, f.mac = nil, nil, nil
}

func (f *Follower) set(status Status) {
	status.Change = f.status.Change + 1
	f.status = status
	if f.changed != nil {
		close(f.changed)
	}
	f.changed = make(chan struct{})
}

// SystemClock is the clock of the guest.
type SystemClock struct{}

// Now returns the time.
func (SystemClock) Now() time.Time { return time.Now() }

// After sends when the time has passed.
func (SystemClock) After(wait time.Duration) <-chan time.Time { return time.After(wait) }

package dhcp

import (
	"net"
	"time"
)

// Lease is an address that a server has given for a time.
type Lease struct {
	Address net.IP
	Mask    net.IPMask
	// Router is nil when the server names none.
	Router    net.IP
	Resolvers []net.IP
	// Domain is empty when the server names none.
	Domain string
	Server net.IP
	// Duration is how long the address may be used; RenewIn and RebindIn are when its server, and then every server, is
	// asked to prolong it. All count from the moment of the request.
	Duration, RenewIn, RebindIn time.Duration
}

const (
	// A server that says less would be asked all the time.
	durationMin = 10 * time.Second
	// The host forgets what the server gave after a day; see src/network/lan/tables.ts.
	renewMax = 6 * time.Hour
)

// complete fills in the times that the server has not told, and reports whether the lease can be used.
func (l *Lease) complete() bool {
	if !isHost(l.Address) || l.Server == nil || l.Duration < durationMin {
		return false
	}
	if l.RebindIn <= 0 || l.RebindIn >= l.Duration {
		l.RebindIn = l.Duration / 8 * 7
	}
	if l.RenewIn <= 0 || l.RenewIn >= l.RebindIn {
		l.RenewIn = l.RebindIn / 7 * 4
	}
	if l.RenewIn > renewMax {
		l.RenewIn = renewMax
	}
	return true
}

// Package dhcp is a client of RFC 2131: it gets an address of the network that the guest stands in, keeps it, and gives it
// up when nobody prolongs it. It applies nothing itself: its owner is told of each lease.
package dhcp

import (
	"errors"
	"math/rand"
	"net"
	"time"

	"guest-agent/internal/guard"
)

// ErrSilent is returned by a Link when no answer came in time.
var ErrSilent = errors.New("no DHCP server answers")

// Accept looks at a message and reports whether it is the one that is waited for.
type Accept func(message []byte) bool

// Link carries messages to servers and back.
type Link interface {
	// Broadcast sends a message to every server, without an address of its own, and waits for an answer. Returns ErrSilent
	// when none comes in time, or when stop is closed.
	Broadcast(message []byte, wait time.Duration, accept Accept, stop <-chan struct{}) error
	// Unicast sends a message from the client's address to one server, and waits for its answer, as Broadcast does.
	Unicast(message []byte, from, to net.IP, wait time.Duration, accept Accept, stop <-chan struct{}) error
}

// Clock tells the time, which need not go on while the guest is paused.
type Clock interface {
	Now() time.Time
	After(wait time.Duration) <-chan time.Time
}

const (
	answerWaitMin = 2 * time.Second
	answerWaitMax = 16 * time.Second
	attempts      = 4
	// Between two searches; RFC 2131 wants no more than one in about a minute for long.
	searchPauseMin = 4 * time.Second
	searchPauseMax = 64 * time.Second
	renewPauseMin  = 10 * time.Second
)

// client is one run of the state machine, for one interface.
type client struct {
	mac   net.HardwareAddr
	link  Link
	clock Clock
	log   guard.Log
	// changed is told each lease, and nil when there is none any more.
	changed func(*Lease)
	stop    <-chan struct{}
	// wake asks to confirm the lease at once: the guest may have been paused for longer than it lasts.
	wake   <-chan struct{}
	random *rand.Rand
}

// run returns when it is stopped.
func (c *client) run() {
	var lease *Lease
	var last net.IP
	pause := searchPauseMin
	for !c.isStopped() {
		if lease == nil {
			if lease = c.search(last); lease == nil {
				c.idle(c.spread(pause))
				if pause *= 2; pause > searchPauseMax {
					pause = searchPauseMax
				}
				continue
			}
		}
		pause = searchPauseMin
		last = lease.Address
		lease = c.hold(lease)
	}
}

// hold keeps a lease until it ends, is refused, or another one takes its place; that one is returned.
func (c *client) hold(lease *Lease) *Lease {
	began := c.clock.Now()
	next := lease.RenewIn
	for {
		isWoken := c.idle(next - c.clock.Now().Sub(began))
		if c.isStopped() {
			return lease
		}
		if isWoken {
			return c.confirm(lease)
		}
		age := c.clock.Now().Sub(began)
		if age >= lease.Duration {
			c.log("dhcp: the lease of %s has ended", lease.Address)
			c.changed(nil)
			return nil
		}
		renewed, refused := c.prolong(lease, age >= lease.RebindIn)
		if refused {
			c.log("dhcp: %s is refused", lease.Address)
			c.changed(nil)
			return nil
		}
		if renewed != nil {
			c.changed(renewed)
			return renewed
		}
		next = c.retryAt(lease, c.clock.Now().Sub(began))
	}
}

// retryAt is when to ask again: halfway to the next state, which comes at its time.
func (c *client) retryAt(lease *Lease, age time.Duration) time.Duration {
	limit := lease.Duration
	if age < lease.RebindIn {
		limit = lease.RebindIn
	}
	pause := (limit - age) / 2
	if pause < renewPauseMin {
		pause = renewPauseMin
	}
	if age+pause > limit {
		return limit
	}
	return age + pause
}

// search gets an address from any server; nil when none answers, or it changes its mind.
func (c *client) search(last net.IP) *Lease {
	began := c.clock.Now()
	wait := answerWaitMin
	for attempt := 0; attempt < attempts && !c.isStopped(); attempt++ {
		asked := question{kind: discover, requested: last}
		offered, _ := c.ask(asked, began, wait, func(a answer) bool { return a.kind == offer })
		if offered != nil {
			if lease := c.take(offered, began); lease != nil {
				c.changed(lease)
				return lease
			}
		}
		if wait *= 2; wait > answerWaitMax {
			wait = answerWaitMax
		}
	}
	return nil
}

// take asks the server for what it has offered.
func (c *client) take(offered *answer, began time.Time) *Lease {
	asked := question{kind: request, requested: offered.lease.Address, server: offered.server}
	isVerdict := func(a answer) bool {
		return (a.kind == ack || a.kind == nak) && (a.server == nil || a.server.Equal(offered.server))
	}
	for attempt := 0; attempt < 2; attempt++ {
		if got, _ := c.ask(asked, began, answerWaitMin, isVerdict); got != nil {
			if got.kind == nak {
				return nil
			}
			return &got.lease
		}
	}
	return nil
}

// confirm asks whether a lease from before a pause still holds (INIT-REBOOT of RFC 2131). Nil when it does not, or when
// nobody knows: the server may have given the address to somebody else.
func (c *client) confirm(lease *Lease) *Lease {
	began := c.clock.Now()
	asked := question{kind: request, requested: lease.Address}
	isVerdict := func(a answer) bool { return a.kind == ack || a.kind == nak }
	for attempt := 0; attempt < 2 && !c.isStopped(); attempt++ {
		got, _ := c.ask(asked, began, answerWaitMin, isVerdict)
		if got == nil {
			continue
		}
		if got.kind == nak {
			break
		}
		c.changed(&got.lease)
		return &got.lease
	}
	if c.isStopped() {
		return lease
	}
	c.log("dhcp: %s is not confirmed", lease.Address)
	c.changed(nil)
	return nil
}

// prolong asks the lease's server, or every server, for more time.
func (c *client) prolong(lease *Lease, isRebinding bool) (renewed *Lease, refused bool) {
	isVerdict := func(a answer) bool { return a.kind == ack || a.kind == nak }
	asked := question{kind: request, client: lease.Address}
	var got *answer
	if isRebinding {
		got, _ = c.ask(asked, c.clock.Now(), answerWaitMin, isVerdict)
	} else {
		got = c.askServer(asked, lease, isVerdict)
	}
	switch {
	case got == nil:
		return nil, false
	case got.kind == nak || !got.lease.Address.Equal(lease.Address):
		return nil, true
	}
	return &got.lease, false
}

// ask broadcasts a question and returns the answer that is taken; nil without one.
func (c *client) ask(q question, began time.Time, wait time.Duration, take func(answer) bool) (*answer, error) {
	q.id, q.mac = c.random.Uint32(), c.mac
	if waited := c.clock.Now().Sub(began) / time.Second; waited > 0 && waited < 1<<16 {
		q.seconds = uint16(waited)
	}
	var got *answer
	err := c.link.Broadcast(q.bytes(), c.spread(wait), c.accepting(q.id, take, &got), c.stop)
	c.note(err)
	return got, err
}

func (c *client) askServer(q question, lease *Lease, take func(answer) bool) *answer {
	q.id, q.mac = c.random.Uint32(), c.mac
	var got *answer
	c.note(c.link.Unicast(q.bytes(), lease.Address, lease.Server, answerWaitMin, c.accepting(q.id, take, &got), c.stop))
	return got
}

func (c *client) accepting(id uint32, take func(answer) bool, got **answer) Accept {
	return func(message []byte) bool {
		found, ok := parse(message, id, c.mac)
		if !ok || !take(found) {
			return false
		}
		*got = &found
		return true
	}
}

func (c *client) note(err error) {
	if err != nil && !errors.Is(err, ErrSilent) {
		c.log("dhcp: %v", err)
	}
}

// spread varies a time by up to a tenth, so that guests that begin together do not ask together for ever.
func (c *client) spread(wait time.Duration) time.Duration {
	return wait - wait/10 + time.Duration(c.random.Int63n(int64(wait/5)))
}

// idle waits; true when it was woken.
func (c *client) idle(wait time.Duration) bool {
	if wait < 0 {
		wait = 0
	}
	select {
	case <-c.clock.After(wait):
		return false
	case <-c.wake:
		return true
	case <-c.stop:
		return false
	}
}

func (c *client) isStopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

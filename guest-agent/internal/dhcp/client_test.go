package dhcp

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

var mac = net.HardwareAddr{6, 0xfa, 0, 0, 0, 9}

const patience = 30 * time.Second

// fakeClock goes on only when it is told to.
type fakeClock struct {
	mu      sync.Mutex
	now     time.Time
	waiting []waiter
	changed chan struct{}
}

type waiter struct {
	at   time.Time
	done chan time.Time
}

func newClock() *fakeClock {
	return &fakeClock{now: time.Unix(1_700_000_000, 0), changed: make(chan struct{}, 64)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) After(wait time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := make(chan time.Time, 1)
	c.waiting = append(c.waiting, waiter{c.now.Add(wait), done})
	c.changed <- struct{}{}
	return done
}

// next waits until the client waits, goes on to that moment, and returns how long it was.
func (c *fakeClock) next(t *testing.T) time.Duration {
	t.Helper()
	select {
	case <-c.changed:
	case <-time.After(patience):
		t.Fatal("the client does not wait")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	last := c.waiting[len(c.waiting)-1]
	wait := last.at.Sub(c.now)
	c.now = last.at
	last.done <- c.now
	return wait
}

// server is a Link with one server behind it.
type server struct {
	mu sync.Mutex
	// asked are the questions so far, in words.
	asked []string
	// lease and options of the next answers; silent: none; refuse: NAK.
	address        string
	options        []byte
	silent, refuse bool
	clock          *fakeClock
}

var self = net.IPv4(192, 168, 7, 1).To4()

func (s *server) Broadcast(message []byte, wait time.Duration, accept Accept, stop <-chan struct{}) error {
	return s.answer("broadcast", message, wait, accept)
}

func (s *server) Unicast(message []byte, from, to net.IP, wait time.Duration, accept Accept, stop <-chan struct{}) error {
	return s.answer(fmt.Sprintf("%s to %s", from, to), message, wait, accept)
}

func (s *server) answer(how string, message []byte, wait time.Duration, accept Accept) error {
	s.mu.Lock()
	options, _ := readOptions(message)
	kind := map[byte]string{discover: "discover", request: "request"}[options[optionKind][0]]
	words := []string{kind, how}
	if requested := options[optionRequested]; requested != nil {
		words = append(words, "for "+net.IP(requested).String())
	}
	if chosen := options[optionServer]; chosen != nil {
		words = append(words, "of "+net.IP(chosen).String())
	}
	if has := net.IP(message[12:16]); !has.Equal(net.IPv4zero) {
		words = append(words, "having "+has.String())
	}
	s.asked = append(s.asked, strings.Join(words, " "))
	silent, refuse := s.silent, s.refuse
	reply := s.reply(message, kind == "discover")
	s.mu.Unlock()
	if silent {
		s.clock.mu.Lock()
		s.clock.now = s.clock.now.Add(wait)
		s.clock.mu.Unlock()
		return ErrSilent
	}
	if refuse && kind == "request" {
		reply[headerBytes+2] = nak
	}
	// Somebody else's answers come first.
	other := append([]byte{}, reply...)
	other[7]++
	foreign := append([]byte{}, reply...)
	foreign[33]++
	if accept(other) || accept(foreign) || accept(reply[:100]) || !accept(reply) {
		return ErrSilent
	}
	return nil
}

func (s *server) reply(question []byte, isDiscover bool) []byte {
	reply := make([]byte, headerBytes)
	copy(reply, question[:headerBytes])
	reply[0] = 2
	copy(reply[16:20], net.ParseIP(s.address).To4())
	kind := ack
	if isDiscover {
		kind = offer
	}
	reply = append(reply, optionKind, 1, kind, optionServer, 4)
	reply = append(reply, self...)
	return append(append(reply, s.options...), optionEnd)
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *server) said() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := s.asked
	s.asked = nil
	return said
}

func seconds4(option byte, value uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{option, 4}, value)
}

func minute() []byte {
	return append([]byte{optionMask, 4, 255, 255, 255, 0, optionRouter, 4, 192, 168, 7, 1}, seconds4(optionDuration, 120)...)
}

type scene struct {
	*Follower
	t       *testing.T
	clock   *fakeClock
	server  *server
	applied chan string
	// ended is when the last lease was given up; read it after expect.
	ended time.Time
}

func start(t *testing.T, change func(*server)) *scene {
	t.Helper()
	clock := newClock()
	s := &scene{&Follower{}, t, clock, &server{address: "192.168.7.20", options: minute(), clock: clock}, make(chan string, 16), time.Time{}}
	if change != nil {
		change(s.server)
	}
	s.follow()
	t.Cleanup(s.Stop)
	return s
}

func (s *scene) follow() {
	s.Follow(mac, s.server, s.clock, func(lease *Lease) error {
		if lease == nil {
			s.ended = s.clock.Now()
			s.applied <- "none"
			return nil
		}
		ones, _ := lease.Mask.Size()
		s.applied <- fmt.Sprintf("%s/%d via %s", lease.Address, ones, lease.Router)
		return nil
	}, func(string, ...interface{}) {})
}

func (s *scene) expect(want string) {
	s.t.Helper()
	select {
	case got := <-s.applied:
		if got != want {
			s.t.Fatalf("applied %s, not %s", got, want)
		}
	case <-time.After(patience):
		s.t.Fatalf("not applied: %s; asked: %v", want, s.server.said())
	}
}

func (s *scene) asked(want ...string) {
	s.t.Helper()
	if got := s.server.said(); fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Errorf("asked %q, not %q", got, want)
	}
}

const bound = "192.168.7.20/24 via 192.168.7.1"

func TestItGetsALeaseAndRenewsItAtItsServer(t *testing.T) {
	s := start(t, nil)
	s.expect(bound)
	s.asked("discover broadcast", "request broadcast for 192.168.7.20 of 192.168.7.1")
	for i := 0; i < 3; i++ {
		if wait := s.clock.next(t); wait != 60*time.Second {
			t.Errorf("renewed after %s", wait)
		}
		s.expect(bound)
		s.asked("request 192.168.7.20 to 192.168.7.1 having 192.168.7.20")
	}
	// The status is set with what was applied.
	if status, _ := s.Status(); status.Lease == nil || !status.Until.Equal(s.clock.Now().Add(120*time.Second)) {
		t.Errorf("status %+v", status)
	}
}

func TestASilentServerIsAskedAgainThenEveryServerAndTheAddressIsGivenUpInTime(t *testing.T) {
	s := start(t, nil)
	s.expect(bound)
	s.server.said()
	began := s.clock.Now()
	s.server.set(func() { s.server.silent = true })
	for s.clock.Now().Sub(began) < 120*time.Second {
		s.clock.next(t)
	}
	s.expect("none")
	said := strings.Join(s.server.said(), "\n")
	unicast := strings.Index(said, "request 192.168.7.20 to 192.168.7.1 having 192.168.7.20")
	rebind := strings.Index(said, "request broadcast having 192.168.7.20")
	if unicast != 0 || rebind < 0 || !strings.Contains(said[rebind:], "discover broadcast for 192.168.7.20") {
		t.Errorf("asked %s", said)
	}
	if held := s.ended.Sub(began); held < 110*time.Second || held > 120*time.Second {
		t.Errorf("given up after %s", held)
	}
	s.server.set(func() { s.server.silent = false })
	for {
		if wait := s.clock.next(t); wait > 80*time.Second {
			t.Errorf("waited %s", wait)
		}
		select {
		case got := <-s.applied:
			if got != bound {
				t.Errorf("applied %s", got)
			}
			return
		default:
		}
		if status, _ := s.Status(); status.Lease != nil {
			s.expect(bound)
			return
		}
	}
}

func TestARefusedRenewalGivesTheAddressUpAtOnce(t *testing.T) {
	s := start(t, nil)
	s.expect(bound)
	s.server.set(func() { s.server.refuse = true })
	s.clock.next(t)
	s.expect("none")
}

func TestAfterAPauseTheLeaseIsConfirmedOrReplaced(t *testing.T) {
	s := start(t, nil)
	s.expect(bound)
	<-s.clock.changed
	s.server.said()
	s.follow()
	s.expect(bound)
	s.asked("request broadcast for 192.168.7.20")
	<-s.clock.changed
	// Somebody else has the address now.
	s.server.set(func() { s.server.refuse = true })
	s.follow()
	s.expect("none")
	s.server.set(func() { s.server.refuse, s.server.address = false, "192.168.7.30" })
	for {
		if status, _ := s.Status(); status.Lease != nil {
			break
		}
		select {
		case <-s.clock.changed:
			s.clock.changed <- struct{}{}
			s.clock.next(t)
		case <-time.After(10 * time.Millisecond):
		}
	}
	s.expect("192.168.7.30/24 via 192.168.7.1")
}

func TestAStoppedFollowerAppliesNothingMore(t *testing.T) {
	s := start(t, nil)
	s.expect(bound)
	<-s.clock.changed
	s.Stop()
	if status, _ := s.Status(); status.Lease != nil || s.IsFollowing(mac) {
		t.Errorf("still has %+v", status)
	}
}

func TestWhatCannotBeUsedIsNoAnswer(t *testing.T) {
	question := question{kind: discover, id: 7, mac: mac}
	s := &server{address: "192.168.7.20", options: minute()}
	good := s.reply(question.bytes(), true)
	if _, ok := parse(good, 7, mac); !ok {
		t.Fatal("a good answer is not taken")
	}
	with := func(address string, options []byte) []byte {
		return (&server{address: address, options: options}).reply(question.bytes(), true)
	}
	for name, message := range map[string][]byte{
		"empty":            {},
		"cut in an option": append(good[:headerBytes:headerBytes], optionKind, 9, offer),
		"no time":          with("192.168.7.20", nil),
		"too short":        with("192.168.7.20", seconds4(optionDuration, 1)),
		"no host":          with("0.0.0.0", minute()),
		"loopback":         with("127.0.0.1", minute()),
		"multicast":        with("224.0.0.1", minute()),
		"a question":       question.bytes(),
	} {
		if _, ok := parse(message, 7, mac); ok {
			t.Errorf("taken: %s", name)
		}
	}
	odd := append(minute(), seconds4(optionRenew, 500)...)
	odd = append(odd, seconds4(optionRebind, 400)...)
	odd = append(odd, optionMask, 4, 255, 0, 255, 0, optionDomain, 3, 'a', ' ', 'b', optionRouter, 4, 0, 0, 0, 0)
	odd[1] = 4
	got, ok := parse(with("10.1.2.3", odd[6:]), 7, mac)
	if !ok || got.lease.Domain != "" || got.lease.RenewIn != 60*time.Second || got.lease.RebindIn != 105*time.Second {
		t.Errorf("%v %+v", ok, got.lease)
	}
}

func TestALongLeaseIsRenewedBeforeTheHostForgetsIt(t *testing.T) {
	lease := Lease{Address: self, Server: self, Duration: 1 << 32 * time.Second}
	if !lease.complete() || lease.RenewIn != renewMax {
		t.Errorf("renewed in %s", lease.RenewIn)
	}
}

func FuzzParse(f *testing.F) {
	f.Add((&server{address: "192.168.7.20", options: minute()}).reply(question{kind: discover, id: 7, mac: mac}.bytes(), true))
	f.Fuzz(func(t *testing.T, message []byte) {
		got, ok := parse(message, 7, mac)
		if ok && got.kind != nak && (got.lease.RenewIn <= 0 || got.lease.RenewIn > got.lease.RebindIn || got.lease.Mask == nil) {
			t.Errorf("%+v", got)
		}
		_ = payloadOf(message)
	})
}

func TestDatagramsAreWhole(t *testing.T) {
	for _, length := range []int{300, 301} {
		packet := datagram(make([]byte, length), net.IPv4zero.To4(), net.IPv4bcast.To4())
		if sum(0, packet[:ipBytes]) != 0xffff {
			t.Error("the checksum of IP is wrong")
		}
		pseudo := sum(uint32(udp)+uint32(len(packet)-ipBytes), packet[12:20])
		if sum(uint32(pseudo), packet[ipBytes:]) != 0xffff {
			t.Error("the checksum of UDP is wrong")
		}
		if payloadOf(packet) != nil {
			t.Error("a question is taken for an answer")
		}
		copy(packet[ipBytes:], []byte{0, serverPort, 0, clientPort})
		if len(payloadOf(append(packet, 0, 0))) != length {
			t.Error("the payload is not what was put in")
		}
	}
}

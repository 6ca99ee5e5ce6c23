package network

import (
	"errors"
	"net"
	"strings"
	"testing"
)

// asForked runs the test in a namespace with what a copied guest has: the original's interface, which is up with addresses,
// routes and neighbours, and interfaces that its users have made.
func asForked(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	done := make(chan struct{})
	// A goroutine that ends while it is locked takes its thread, and so the namespace, with it.
	go func() {
		defer close(done)
		inNamespace(t)
		ip(t, "link", "set", "lo", "up")
		ip(t, "link", "add", "dev", "docker0", "type", "bridge")
		ip(t, "address", "add", "172.17.0.1/16", "dev", "docker0")
		ip(t, "link", "set", "docker0", "up")
		// The kernel makes the peer first.
		ip(t, "link", "add", "dev", "eth1", "address", "02:66:0a:4d:00:06", "type", "veth", "peer", "name", "eth0", "address", "02:66:0a:4d:00:05")
		ip(t, "link", "set", "eth1", "up")
		plan := planOf("10.77.0.5/32", "fd77::5/128")
		if err := Configure(plan, t.Logf); err != nil {
			t.Error(err)
			return
		}
		// Two of one network, one with a peer, and what users and the kernel add.
		ip(t, "address", "add", "192.0.2.1/24", "dev", "eth0")
		ip(t, "address", "add", "192.0.2.2/24", "dev", "eth0")
		ip(t, "address", "add", "198.51.100.1", "peer", "198.51.100.2/32", "dev", "eth0")
		ip(t, "route", "add", "203.0.113.0/24", "via", "10.77.0.1", "dev", "eth0", "table", "100")
		ip(t, "route", "add", "10.99.0.0/16", "via", "172.17.0.9", "dev", "docker0", "onlink")
		ip(t, "neighbour", "add", "10.77.0.1", "lladdr", "02:00:00:00:00:01", "dev", "eth0", "nud", "permanent")
		ip(t, "neighbour", "add", "fd77::1", "lladdr", "02:00:00:00:00:01", "dev", "eth0", "nud", "permanent")
		test(t)
	}()
	<-done
}

var (
	forkMAC = net.HardwareAddr{2, 0x66, 10, 77, 0, 9}
	// Stands for virtio_net, of which a host can make none.
	testDriver = "veth"
)

func everything(t *testing.T, device string) string {
	t.Helper()
	return ip(t, "address", "show", "dev", device) + ip(t, "route", "show", "table", "all", "dev", device) +
		ip(t, "-6", "route", "show", "table", "all", "dev", device) + ip(t, "neighbour", "show", "dev", device)
}

func TestACopiedInterfaceKeepsNothingOfTheOriginal(t *testing.T) {
	asForked(t, func(t *testing.T) {
		users := everything(t, "docker0")
		if err := adopt(forkMAC, testDriver); err != nil {
			t.Fatal(err)
		}
		left := everything(t, "eth0")
		for _, old := range []string{"02:66:0a:4d:00:05", "inet", "via", "lladdr", "198.51.100", "LOWER_UP"} {
			if strings.Contains(left, old) {
				t.Errorf("%s is left: %s", old, left)
			}
		}
		if !strings.Contains(left, "link/ether 02:66:0a:4d:00:09") {
			t.Errorf("its address is not the new one: %s", left)
		}
		if now := everything(t, "docker0"); now != users {
			t.Errorf("the users' interface was changed:\n%snow\n%s", users, now)
		}
		if second := everything(t, "eth1"); !strings.Contains(second, "02:66:0a:4d:00:06") {
			t.Errorf("the second one was changed: %s", second)
		}

		plan := planOf("10.77.0.9/32", "fd77::9/128")
		plan.MAC = forkMAC
		if err := Configure(plan, t.Logf); err != nil {
			t.Fatal(err)
		}
		// A second time, for example when the first answer was lost, it changes nothing.
		before := ip(t, "-brief", "address", "show", "dev", "eth0") + ip(t, "route")
		if err := adopt(forkMAC, testDriver); err != nil {
			t.Fatal(err)
		}
		if now := ip(t, "-brief", "address", "show", "dev", "eth0") + ip(t, "route"); now != before {
			t.Errorf("a second time it becomes %s, was %s", now, before)
		}
		for _, want := range []string{"10.77.0.9/32", "fd77::9/128", "fe80::66:aff:fe4d:9", "default via 10.77.0.1 dev eth0"} {
			if !strings.Contains(before, want) {
				t.Errorf("no %s in %s", want, before)
			}
		}
	})
}

func TestWithoutANetworkTheInterfaceIsOnlyEmptied(t *testing.T) {
	asForked(t, func(t *testing.T) {
		if err := adopt(nil, testDriver); err != nil {
			t.Fatal(err)
		}
		left := everything(t, "eth0")
		if strings.Contains(left, "inet") || strings.Contains(left, "via") || strings.Contains(left, ",UP") {
			t.Errorf("left: %s", left)
		}
	})
}

func TestUsersInterfacesAreNotTakenForTheGuestsOwn(t *testing.T) {
	asForked(t, func(t *testing.T) {
		before := everything(t, "docker0") + everything(t, "eth0")
		if err := adopt(forkMAC, hostDriver); !errors.Is(err, ErrNoInterface) {
			t.Errorf("got %v", err)
		}
		if now := everything(t, "docker0") + everything(t, "eth0"); now != before {
			t.Errorf("changed:\n%snow\n%s", before, now)
		}
	})
}

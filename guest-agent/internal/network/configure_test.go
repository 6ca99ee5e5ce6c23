package network

import (
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// inNamespace runs the test in a network namespace of its own, whose thread ends with it.
func inNamespace(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root makes network namespaces")
	}
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Skipf("this host makes no network namespaces: %v", err)
	}
}

func ip(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command("ip", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v: %s", arguments, err, output)
	}
	return string(output)
}

func planOf(addresses ...string) Plan {
	plan := Plan{
		MAC:      net.HardwareAddr{2, 0x66, 10, 77, 0, 5},
		Gateways: []net.IP{net.ParseIP("10.77.0.1"), net.ParseIP("fd77::1")},
	}
	for _, text := range addresses {
		address, network, _ := net.ParseCIDR(text)
		plan.Addresses = append(plan.Addresses, net.IPNet{IP: address, Mask: network.Mask})
	}
	return plan
}

func TestInterfaceGetsAddressesAndRoutes(t *testing.T) {
	done := make(chan struct{})
	// A goroutine that ends while it is locked takes its thread, and so the namespace, with it.
	go func() {
		defer close(done)
		inNamespace(t)
		ip(t, "link", "add", "dev", "eth7", "address", "02:66:0a:4d:00:05", "type", "veth", "peer", "name", "peer7")
		for i := 0; i < 2; i++ {
			if err := Configure(planOf("10.77.0.5/32", "fd77::5/128"), t.Logf); err != nil {
				t.Error(err)
				return
			}
		}
		addresses := ip(t, "-brief", "address", "show", "dev", "eth7")
		routes := ip(t, "route") + ip(t, "-6", "route")
		for _, want := range []string{"10.77.0.5/32", "fd77::5/128"} {
			if strings.Count(addresses, want) != 1 {
				t.Errorf("%s is not there once: %s", want, addresses)
			}
		}
		for _, want := range []string{"default via 10.77.0.1 dev eth7", "10.77.0.1 dev eth7", "default via fd77::1 dev eth7"} {
			if !strings.Contains(routes, want) {
				t.Errorf("no route %s in %s", want, routes)
			}
		}
		if err := Configure(planOf("10.77.0.6/32"), t.Logf); err != nil {
			t.Error(err)
			return
		}
		addresses = ip(t, "-brief", "address", "show", "dev", "eth7")
		if !strings.Contains(addresses, "10.77.0.6/32") || strings.Contains(addresses, "10.77.0.5") || strings.Contains(addresses, "fd77::5") {
			t.Errorf("old addresses stay: %s", addresses)
		}
	}()
	<-done
}

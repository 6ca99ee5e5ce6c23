package network

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

var resolvers = []net.IP{net.IPv4(10, 77, 0, 1)}

const want = "# Written by the guest agent at each start.\nnameserver 10.77.0.1\nsearch flotilla.internal\n"

func rootWith(t *testing.T, link string) (string, string) {
	t.Helper()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, "etc/resolv.conf")
	if link != "" {
		if err := os.Symlink(link, path); err != nil {
			t.Fatal(err)
		}
	}
	return root, path
}

func TestResolverReplacesFileOrDanglingLink(t *testing.T) {
	for _, link := range []string{"", "../run/systemd/resolve/stub-resolv.conf", "/run/gone"} {
		root, path := rootWith(t, link)
		for i := 0; i < 2; i++ {
			if err := writeResolver(root, resolvers, []string{"flotilla.internal"}); err != nil {
				t.Fatal(err)
			}
			if content, err := os.ReadFile(path); err != nil || string(content) != want {
				t.Errorf("link %q: %q, %v", link, content, err)
			}
		}
	}
}

func TestResolverLeavesSystemdResolvedAlone(t *testing.T) {
	root, path := rootWith(t, "../run/systemd/resolve/stub-resolv.conf")
	stub := filepath.Join(root, managedDirectory, "stub-resolv.conf")
	if err := os.MkdirAll(filepath.Dir(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stub, []byte("nameserver 127.0.0.53\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeResolver(root, resolvers, nil); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "nameserver 127.0.0.53\n" {
		t.Errorf("%q, %v", content, err)
	}
}

func TestUnknownHardwareAddress(t *testing.T) {
	mac := net.HardwareAddr{2, 0x66, 1, 2, 3, 4}
	if _, err := Find(mac); err == nil {
		t.Error("found an interface that is not there")
	}
}

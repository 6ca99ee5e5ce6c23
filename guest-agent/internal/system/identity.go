package system

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"guest-agent/internal/dhcp"
	"guest-agent/internal/network"
)

const (
	hostnameFile  = "/etc/hostname"
	hostsFile     = "/etc/hosts"
	machineIDFile = "/etc/machine-id"
)

// Copies of the machine-id, of systemd and of D-Bus, which not every guest has.
var machineIDCopies = []string{"/run/machine-id", "/var/lib/dbus/machine-id"}

// Machine is the guest in which this process is PID 1.
type Machine struct{}

// A clock difference below this is ignored: the host's time is delayed by the transmission anyway, and jumps
// of the clock disturb programs.
const clockSlack = 20 * time.Millisecond

// Resync adds entropy, and sets the clock unless it is right. Entropy comes first: until then, a copied guest gives its
// programs the same random numbers as its original.
func (Machine) Resync(now time.Time, entropy []byte) error {
	if err := addEntropy(entropy); err != nil {
		return fmt.Errorf("add entropy: %w", err)
	}
	if behind := time.Until(now); behind > clockSlack || behind < -clockSlack {
		exact := syscall.NsecToTimeval(now.UnixNano())
		if err := syscall.Settimeofday(&exact); err != nil {
			return fmt.Errorf("set the clock: %w", err)
		}
	}
	return nil
}

// Identify sets host name and machine-id. Files that cannot be written do not fail it, because a guest may have made its
// root read-only: it returns why they stay as they are.
func (Machine) Identify(identity Identity) (problems []string, err error) {
	if err := syscall.Sethostname([]byte(identity.Hostname)); err != nil {
		return nil, fmt.Errorf("set host name: %w", err)
	}
	return writeIdentity("/", identity), nil
}

// writeIdentity writes the files of the identity below root.
func writeIdentity(root string, identity Identity) (problems []string) {
	hosts := filepath.Join(root, hostsFile)
	files := []struct{ path, content string }{
		{filepath.Join(root, hostnameFile), identity.Hostname + "\n"},
		{filepath.Join(root, machineIDFile), identity.MachineID + "\n"},
		{hosts, hostsWith(read(hosts), identity.Hostname)},
	}
	for _, name := range machineIDCopies {
		path := filepath.Join(root, name)
		// A link leads to the file that is written above.
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
			files = append(files, struct{ path, content string }{path, identity.MachineID + "\n"})
		}
	}
	for _, file := range files {
		if err := writeIfChanged(file.path, file.content); err != nil {
			problems = append(problems, fmt.Sprintf("write %s: %v", file.path, err))
		}
	}
	return problems
}

// ConfigureNetwork configures the guest's interface.
func (Machine) ConfigureNetwork(plan network.Plan) error { return network.Configure(plan, Log) }

// AdoptInterface gives the guest's interface another hardware address.
func (Machine) AdoptInterface(mac net.HardwareAddr) error { return network.Adopt(mac) }

// DHCPLink reaches the servers of the interface's network.
func (Machine) DHCPLink(mac net.HardwareAddr) (dhcp.Link, error) {
	device, err := network.Find(mac)
	if err != nil {
		return nil, err
	}
	return dhcp.Interface{Device: device}, nil
}

func read(path string) string {
	content, _ := os.ReadFile(path)
	return string(content)
}

// writeIfChanged replaces a file atomically, unless something else is mounted in its place.
func writeIfChanged(path, content string) error {
	if read(path) == content {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".flotilla"
	if err := os.WriteFile(temporary, []byte(content), 0o644); err != nil {
		return err
	}
	err := os.Rename(temporary, path)
	if err != nil {
		_ = os.Remove(temporary)
	}
	if errors.Is(err, syscall.EBUSY) {
		return os.WriteFile(path, []byte(content), 0o644)
	}
	return err
}

// hostsWith returns a hosts file that contains the guest's own name and is otherwise unchanged.
func hostsWith(hosts, hostname string) string {
	const own = "127.0.1.1"
	if strings.TrimSpace(hosts) == "" {
		hosts = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
	}
	var lines []string
	placed := false
	for _, line := range strings.Split(strings.TrimRight(hosts, "\n"), "\n") {
		if fields := strings.Fields(line); len(fields) > 0 && fields[0] == own {
			if placed {
				continue
			}
			placed = true
			line = own + "\t" + hostname
		}
		lines = append(lines, line)
	}
	if !placed {
		lines = append(lines, own+"\t"+hostname)
	}
	return strings.Join(lines, "\n") + "\n"
}

package system

import (
	"fmt"
	"net"
	"os"
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

// Machine is the guest in which this process is PID 1.
type Machine struct{}

// A clock difference below this is ignored: the host's time is delayed by the transmission anyway, and jumps
// of the clock disturb programs.
const clockSlack = 20 * time.Millisecond

// Resync sets the clock, unless it is right, and adds entropy.
func (Machine) Resync(now time.Time, entropy []byte) error {
	if behind := time.Until(now); behind > clockSlack || behind < -clockSlack {
		exact := syscall.NsecToTimeval(now.UnixNano())
		if err := syscall.Settimeofday(&exact); err != nil {
			return fmt.Errorf("set the clock: %w", err)
		}
	}
	if err := addEntropy(entropy); err != nil {
		return fmt.Errorf("add entropy: %w", err)
	}
	return nil
}

// Identify sets host name and machine-id. Files that cannot be written are only logged, because a guest may
// have made its root read-only.
func (Machine) Identify(identity Identity) error {
	if err := syscall.Sethostname([]byte(identity.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	for _, file := range []struct{ path, content string }{
		{hostnameFile, identity.Hostname + "\n"},
		{machineIDFile, identity.MachineID + "\n"},
		{hostsFile, hostsWith(read(hostsFile), identity.Hostname)},
	} {
		if err := writeIfChanged(file.path, file.content); err != nil {
			Log("write %s: %v", file.path, err)
		}
	}
	return nil
}

// ConfigureNetwork configures the guest's interface.
func (Machine) ConfigureNetwork(plan network.Plan) error { return network.Configure(plan, Log) }

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

// writeIfChanged replaces a file atomically.
func writeIfChanged(path, content string) error {
	if read(path) == content {
		return nil
	}
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return err
	}
	temporary := path + ".flotilla"
	if err := os.WriteFile(temporary, []byte(content), 0o644); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		_ = os.Remove(temporary)
		return err
	}
	return nil
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

package userdata

import (
	"errors"
	"os"
	"strings"
)

var programDirectories = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// installPackages uses the distribution's package manager.
func (w *worker) installPackages(names []string) error {
	steps, env := w.packageSteps(names)
	if steps == nil {
		return errors.New("the guest has neither apt-get nor apk")
	}
	if err := w.requireNetwork(); err != nil {
		return err
	}
	for _, argv := range steps {
		if err := w.run(argv, env); err != nil {
			return err
		}
	}
	return nil
}

// packageSteps are the programs to run one after the other, none of which asks anything; nil without a package
// manager.
func (g *Guest) packageSteps(names []string) (steps [][]string, env map[string]string) {
	switch {
	case g.hasProgram("apt-get"):
		apt := []string{"apt-get", "--assume-yes", "--quiet", "--option=Dpkg::Options::=--force-confold"}
		update := append(append([]string{}, apt...), "update")
		install := append(append(append([]string{}, apt...), "install", "--"), names...)
		return [][]string{update, install}, map[string]string{"DEBIAN_FRONTEND": "noninteractive"}
	case g.hasProgram("apk"):
		return [][]string{append([]string{"apk", "add", "--no-cache", "--"}, names...)}, nil
	}
	return nil, nil
}

// requireNetwork: without a way out, package managers fail late and in other words. An interface alone is none: on a host
// without a bridge it leads nowhere.
func (g *Guest) requireNetwork() error {
	ipv4, err := os.ReadFile(g.path("/proc/net/route"))
	if err != nil {
		return nil
	}
	// A kernel without IPv6 has no such file.
	ipv6, _ := os.ReadFile(g.path("/proc/net/ipv6_route"))
	if hasDefaultRoute(string(ipv4), 1, "00000000") || hasDefaultRoute(string(ipv6), 0, strings.Repeat("0", 32)) {
		return nil
	}
	return errors.New("the guest has no network, so packages cannot be fetched")
}

// hasDefaultRoute looks for a destination of zeros in a column of one of the kernel's tables; the name of the interface is
// in the first or the last one.
func hasDefaultRoute(table string, column int, zeros string) bool {
	for _, line := range strings.Split(table, "\n") {
		fields := strings.Fields(line)
		if len(fields) > column && fields[column] == zeros && fields[0] != "lo" && fields[len(fields)-1] != "lo" {
			return true
		}
	}
	return false
}

func (g *Guest) hasProgram(name string) bool {
	for _, directory := range programDirectories {
		info, err := os.Stat(g.path(directory + "/" + name))
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return true
		}
	}
	return false
}

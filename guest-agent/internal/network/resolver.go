package network

import (
	"net"
	"os"
	"path/filepath"
	"strings"
)

// managedDirectory holds the files of systemd-resolved while it runs.
const managedDirectory = "run/systemd/resolve"

// writeResolver replaces the resolver configuration, below root. It leaves the one of a running systemd-resolved alone.
func writeResolver(root string, resolvers []net.IP, domains []string) error {
	path := filepath.Join(root, "etc/resolv.conf")
	target, err := os.Readlink(path)
	isLink := err == nil
	if isLink && isManaged(root, target) {
		return nil
	}
	content := resolverText(resolvers, domains)
	if present, err := os.ReadFile(path); err == nil && string(present) == content {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := path + ".flotilla"
	if err := os.WriteFile(temporary, []byte(content), 0o644); err != nil {
		return err
	}
	// A link, also one that leads nowhere, is replaced by a file.
	if err := os.Rename(temporary, path); err != nil {
		_ = os.Remove(temporary)
		// Something else is mounted there.
		return os.WriteFile(path, []byte(content), 0o644)
	}
	return nil
}

// isManaged is true for a link to a file of systemd-resolved that is there.
func isManaged(root, target string) bool {
	if !filepath.IsAbs(target) {
		target = filepath.Join("/etc", target)
	}
	target = filepath.Clean(target)
	if !strings.HasPrefix(target, "/"+managedDirectory+"/") {
		return false
	}
	_, err := os.Stat(filepath.Join(root, target))
	return err == nil
}

func resolverText(resolvers []net.IP, domains []string) string {
	var text strings.Builder
	text.WriteString("# Written by the guest agent at each start.\n")
	for _, resolver := range resolvers {
		text.WriteString("nameserver " + resolver.String() + "\n")
	}
	if len(domains) > 0 {
		text.WriteString("search " + strings.Join(domains, " ") + "\n")
	}
	return text.String()
}

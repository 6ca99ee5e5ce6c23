package userdata

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"guest-agent/internal/process"
)

// machineKeyMark ends the lines of authorized_keys that belong to the machine's record. sshd takes it for a part of
// the comment.
const machineKeyMark = "managed-by-flotilla"

// SetMachineKeys makes these keys, and no others, the lines of root's authorized_keys that have the mark. All other
// lines stay as they are, and so does a file in which nothing changes.
func (g *Guest) SetMachineKeys(keys []string) error {
	for _, key := range keys {
		if key == "" || strings.ContainsAny(key, "\n\r\x00") {
			return errors.New("a key must be one line")
		}
	}
	g.keysMu.Lock()
	defer g.keysMu.Unlock()
	owner, err := process.ResolveOwner("root", g.read(passwdFile), g.read(groupFile))
	if err != nil {
		return err
	}
	path := filepath.Join(g.path(owner.Home+"/.ssh"), "authorized_keys")
	before, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	after := withMachineKeys(string(before), keys)
	if after == string(before) {
		return nil
	}
	return g.writeKeys(owner, after)
}

func withMachineKeys(text string, keys []string) string {
	kept := []string{}
	for _, line := range strings.SplitAfter(text, "\n") {
		if line != "" && !isMachineKey(line) {
			kept = append(kept, line)
		}
	}
	after := strings.Join(kept, "")
	for _, key := range keys {
		after = withLine(after, key+" "+machineKeyMark)
	}
	return after
}

func isMachineKey(line string) bool {
	return strings.HasSuffix(strings.TrimSpace(line), " "+machineKeyMark)
}

package userdata

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"guest-agent/internal/process"
)

func chown(path string, uid, gid int) error { return os.Chown(path, uid, gid) }

// writeFile writes in place, so that a link's target or a file of /proc is written too.
func (w *worker) writeFile(file *File) error {
	owner, err := process.ResolveOwner(file.Owner, w.read(passwdFile), w.read(groupFile))
	if err != nil {
		return err
	}
	path := w.path(file.Path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	how := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if file.Append {
		how = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	// Without O_NONBLOCK, opening a pipe that nobody reads would wait for ever.
	target, err := os.OpenFile(path, how|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	_, err = target.Write(file.Content)
	if closeErr := target.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := w.options.Own(path, int(owner.UID), int(owner.GID)); err != nil {
		return err
	}
	// After the owner, whose change clears set-id bits.
	return os.Chmod(path, modeOf(file.Permissions))
}

// modeOf: Go has its own bits for set-id and sticky.
func modeOf(bits uint32) os.FileMode {
	mode := os.FileMode(bits & 0o777)
	if bits&0o4000 != 0 {
		mode |= os.ModeSetuid
	}
	if bits&0o2000 != 0 {
		mode |= os.ModeSetgid
	}
	if bits&0o1000 != 0 {
		mode |= os.ModeSticky
	}
	return mode
}

// keys adds root's and the users' SSH keys.
func (w *worker) keys(plan *Plan) {
	if len(plan.SSHAuthorizedKeys) > 0 {
		w.part("ssh_authorized_keys of root", func() error { return w.addKeys("root", plan.SSHAuthorizedKeys) })
	}
	for _, user := range plan.Users {
		user := user
		if len(user.SSHAuthorizedKeys) > 0 {
			what := fmt.Sprintf("ssh_authorized_keys of %s", user.Name)
			w.part(what, func() error { return w.addKeys(user.Name, user.SSHAuthorizedKeys) })
		}
	}
}

func (w *worker) addKeys(name string, keys []string) error {
	owner, err := process.ResolveOwner(name, w.read(passwdFile), w.read(groupFile))
	if err != nil {
		return err
	}
	w.keysMu.Lock()
	defer w.keysMu.Unlock()
	before, err := os.ReadFile(filepath.Join(w.path(owner.Home+"/.ssh"), "authorized_keys"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	return w.writeKeys(owner, withLines(string(before), keys))
}

// writeKeys replaces a user's authorized_keys.
func (g *Guest) writeKeys(owner process.Owner, text string) error {
	directory := g.path(owner.Home + "/.ssh")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	if err := g.give(directory, owner, 0o700); err != nil {
		return err
	}
	path := filepath.Join(directory, "authorized_keys")
	if err := replaceFile(path, []byte(text), 0o600, nil); err != nil {
		return err
	}
	return g.give(path, owner, 0o600)
}

func (g *Guest) give(path string, owner process.Owner, mode os.FileMode) error {
	if err := g.options.Own(path, int(owner.UID), int(owner.GID)); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// withLines appends the lines that are missing.
func withLines(text string, lines []string) string {
	known := map[string]bool{}
	for _, line := range strings.Split(text, "\n") {
		known[strings.TrimSuffix(strings.TrimSpace(line), " "+machineKeyMark)] = true
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, line := range lines {
		if !known[line] {
			known[line] = true
			text += line + "\n"
		}
	}
	return text
}

func (g *Guest) read(path string) string {
	content, _ := os.ReadFile(g.path(path))
	return string(content)
}

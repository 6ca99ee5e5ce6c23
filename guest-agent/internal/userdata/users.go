package userdata

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"guest-agent/internal/process"
)

const (
	passwdFile  = "/etc/passwd"
	groupFile   = "/etc/group"
	shadowFile  = "/etc/shadow"
	sudoersFile = "/etc/sudoers.d/90-flotilla-users"
	// The range of ordinary users in Debian's and Alpine's login.defs.
	idMin = 1000
	idMax = 60000
)

// users adds the accounts by writing the files of accounts itself, because images differ in their programs for
// it, and minimal ones have none.
func (w *worker) users(plan *Plan) {
	sudoers := []string{}
	for i := range plan.Users {
		user := &plan.Users[i]
		w.part("user "+user.Name, func() error { return w.addUser(user) })
		for _, rule := range user.Sudo {
			sudoers = append(sudoers, user.Name+" "+rule)
		}
	}
	if len(sudoers) > 0 {
		w.part("rules for sudo", func() error { return w.addSudoers(sudoers) })
	}
}

func (w *worker) addUser(user *User) error {
	if !hasEntry(w.read(passwdFile), user.Name) {
		if err := w.newAccount(user); err != nil {
			return err
		}
	}
	for _, group := range user.Groups {
		if err := w.joinGroup(user.Name, group); err != nil {
			return err
		}
	}
	return nil
}

// newAccount adds an account without a password, with a group of the same name and a home.
func (w *worker) newAccount(user *User) error {
	passwd, group := w.read(passwdFile), w.read(groupFile)
	id, err := freeID(passwd, group)
	if err != nil {
		return err
	}
	gid := id
	if known, ok := idOf(group, user.Name); ok {
		gid = known
	} else if err := w.rewrite(groupFile, withLine(group, fmt.Sprintf("%s:x:%d:", user.Name, gid)), 0o644); err != nil {
		return err
	}
	// "*" is no password; with "!", sshd would take the account for locked.
	password := "*"
	if shadow := w.read(shadowFile); shadow != "" {
		password = "x"
		days := time.Now().Unix() / (24 * 60 * 60)
		line := fmt.Sprintf("%s:*:%d:0:99999:7:::", user.Name, days)
		if err := w.rewrite(shadowFile, withLine(shadow, line), 0o640); err != nil {
			return err
		}
	}
	home, shell := user.Home, user.Shell
	if home == "" {
		home = "/home/" + user.Name
	}
	if shell == "" {
		shell = w.defaultShell()
	}
	entry := fmt.Sprintf("%s:%s:%d:%d:%s:%s:%s", user.Name, password, id, gid, user.Gecos, home, shell)
	if err := w.rewrite(passwdFile, withLine(passwd, entry), 0o644); err != nil {
		return err
	}
	return w.makeHome(home, process.Owner{UID: uint32(id), GID: uint32(gid)})
}

// makeHome leaves a home that is there as it is.
func (w *worker) makeHome(home string, owner process.Owner) error {
	path := w.path(home)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		if os.IsExist(err) {
			return nil
		}
		return err
	}
	return w.give(path, owner, 0o755)
}

func (w *worker) defaultShell() string {
	if info, err := os.Stat(w.path("/bin/bash")); err == nil && info.Mode().IsRegular() {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// joinGroup adds a member to a group, and the group if it is missing.
func (w *worker) joinGroup(name, group string) error {
	content := w.read(groupFile)
	if !hasEntry(content, group) {
		id, err := freeID(w.read(passwdFile), content)
		if err != nil {
			return err
		}
		content = withLine(content, fmt.Sprintf("%s:x:%d:", group, id))
	}
	lines := strings.Split(content, "\n")
	for i, line := range lines {
		fields := strings.Split(line, ":")
		if len(fields) < 4 || fields[0] != group || hasMember(fields[3], name) {
			continue
		}
		fields[3] = strings.TrimPrefix(fields[3]+","+name, ",")
		lines[i] = strings.Join(fields, ":")
	}
	return w.rewrite(groupFile, strings.Join(lines, "\n"), 0o644)
}

func (w *worker) addSudoers(lines []string) error {
	if err := os.MkdirAll(w.path(filepath.Dir(sudoersFile)), 0o750); err != nil {
		return err
	}
	return w.rewrite(sudoersFile, strings.Join(lines, "\n")+"\n", 0o440)
}

// rewrite replaces a file; owner and mode stay, and are root's and `mode` for a new one.
func (w *worker) rewrite(path, content string, mode os.FileMode) error {
	target := w.path(path)
	uid, gid := 0, 0
	if info, err := os.Stat(target); err == nil {
		mode = info.Mode().Perm()
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			uid, gid = int(stat.Uid), int(stat.Gid)
		}
	}
	own := func(file *os.File) error { return w.options.Own(file.Name(), uid, gid) }
	return replaceFile(target, []byte(content), mode, own)
}

func withLine(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}

func hasMember(members, name string) bool {
	for _, member := range strings.Split(members, ",") {
		if member == name {
			return true
		}
	}
	return false
}

func hasEntry(text, name string) bool {
	_, ok := idOf(text, name)
	return ok
}

// idOf finds the number, the third field, of a name in /etc/passwd or /etc/group.
func idOf(text, name string) (int, bool) {
	for _, line := range strings.Split(text, "\n") {
		fields := strings.Split(line, ":")
		if len(fields) > 2 && fields[0] == name {
			id, err := strconv.Atoi(fields[2])
			return id, err == nil
		}
	}
	return 0, false
}

// freeID is the lowest number that neither a user nor a group has.
func freeID(files ...string) (int, error) {
	taken := map[string]bool{}
	for _, text := range files {
		for _, line := range strings.Split(text, "\n") {
			if fields := strings.Split(line, ":"); len(fields) > 2 {
				taken[fields[2]] = true
			}
		}
	}
	for id := idMin; id <= idMax; id++ {
		if !taken[strconv.Itoa(id)] {
			return id, nil
		}
	}
	return 0, fmt.Errorf("no number from %d to %d is free for an account", idMin, idMax)
}

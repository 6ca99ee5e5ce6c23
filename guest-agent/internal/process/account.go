package process

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
	idMax      = 1<<32 - 2
)

// account is a user of the guest.
type account struct {
	name   string
	uid    uint32
	gid    uint32
	groups []uint32
	home   string
}

// lookUpAccount finds USER or USER:GROUP, each by name or number. Numbers, and root, need not be in the guest's
// files.
func lookUpAccount(user string) (*account, error) {
	if user == "" {
		user = "0"
	}
	passwd, _ := os.ReadFile(passwdFile)
	group, _ := os.ReadFile(groupFile)
	return resolveAccount(user, string(passwd), string(group))
}

// Owner is who a file belongs to.
type Owner struct {
	UID, GID uint32
	Home     string
}

// ResolveOwner finds USER or USER:GROUP, each by name or number, in the contents of /etc/passwd and /etc/group.
func ResolveOwner(words, passwd, group string) (Owner, error) {
	found, err := resolveAccount(words, passwd, group)
	if err != nil {
		return Owner{}, err
	}
	return Owner{UID: found.uid, GID: found.gid, Home: found.home}, nil
}

// resolveAccount: who names a group gets that one only, as in containers.
func resolveAccount(words, passwd, group string) (*account, error) {
	user, groupName, hasGroup := strings.Cut(words, ":")
	found, err := resolveUser(user, passwd, group)
	if err != nil || !hasGroup {
		return found, err
	}
	gid, err := resolveGroup(groupName, group)
	if err != nil {
		return nil, err
	}
	found.gid, found.groups = gid, []uint32{gid}
	return found, nil
}

func resolveGroup(name, group string) (uint32, error) {
	number, err := strconv.ParseUint(name, 10, 32)
	isNumber := err == nil && number <= idMax
	for _, line := range strings.Split(group, "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 3 || fields[0] == "" || fields[0] != name {
			continue
		}
		if gid, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			return uint32(gid), nil
		}
	}
	switch {
	case isNumber:
		return uint32(number), nil
	case name == "root":
		return 0, nil
	}
	return 0, &InvalidError{Reason: "no such group: " + name}
}

func resolveUser(user, passwd, group string) (*account, error) {
	number, err := strconv.ParseUint(user, 10, 32)
	isNumber := err == nil && number <= idMax
	for _, line := range strings.Split(passwd, "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 7 {
			continue
		}
		uid, uidErr := strconv.ParseUint(fields[2], 10, 32)
		gid, gidErr := strconv.ParseUint(fields[3], 10, 32)
		if fields[0] == "" || uidErr != nil || gidErr != nil || (fields[0] != user && !(isNumber && uid == number)) {
			continue
		}
		found := &account{name: fields[0], uid: uint32(uid), gid: uint32(gid), home: fields[5]}
		found.groups = groupsOf(found, group)
		return found, nil
	}
	if user == "root" || isNumber && number == 0 {
		return &account{name: "root", home: "/root"}, nil
	}
	if !isNumber {
		return nil, &InvalidError{Reason: "no such user: " + user}
	}
	return &account{name: user, uid: uint32(number), gid: uint32(number), home: "/"}, nil
}

func groupsOf(user *account, group string) []uint32 {
	groups := []uint32{user.gid}
	for _, line := range strings.Split(group, "\n") {
		fields := strings.Split(line, ":")
		if len(fields) < 4 {
			continue
		}
		gid, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil || uint32(gid) == user.gid {
			continue
		}
		for _, member := range strings.Split(fields[3], ",") {
			if member == user.name {
				groups = append(groups, uint32(gid))
				break
			}
		}
	}
	return groups
}

// credential is nil if nothing changes, because only root may set it.
func (a *account) credential() *syscall.Credential {
	if os.Getuid() != 0 && uint32(os.Getuid()) == a.uid {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups}
}

func workingDirectory(cwd string, user *account) (string, error) {
	if cwd == "" {
		if isDirectory(user.home) {
			return user.home, nil
		}
		return "/", nil
	}
	if !strings.HasPrefix(cwd, "/") || strings.IndexByte(cwd, 0) >= 0 {
		return "", &InvalidError{Reason: "the working directory must be an absolute path: " + cwd}
	}
	if !isDirectory(cwd) {
		return "", &InvalidError{Reason: "no such directory: " + cwd}
	}
	return cwd, nil
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

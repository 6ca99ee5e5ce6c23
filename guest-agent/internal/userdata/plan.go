// Package userdata carries out a new machine's user data, once per instance: users, SSH keys, files, packages,
// commands, scripts, in this order. A part that fails does not stop the others. It knows nothing about the link;
// the host has checked the plan's values (src/core/user-data).
package userdata

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Plan is what to do.
type Plan struct {
	// SSHAuthorizedKeys are root's.
	SSHAuthorizedKeys []string `json:"ssh_authorized_keys"`
	Users             []User   `json:"users"`
	WriteFiles        []File   `json:"write_files"`
	Packages          []string `json:"packages"`
	// Commands are programs with their arguments.
	Commands [][]string `json:"commands"`
	// Scripts begin with #!.
	Scripts []string `json:"scripts"`
}

// User is an account to add; one that exists keeps its fields and gets groups, sudo rules and keys.
type User struct {
	Name              string   `json:"name"`
	Gecos             string   `json:"gecos"`
	Groups            []string `json:"groups"`
	Sudo              []string `json:"sudo"`
	Shell             string   `json:"shell"`
	Home              string   `json:"home"`
	SSHAuthorizedKeys []string `json:"ssh_authorized_keys"`
}

// File is a file to write or to append to. Content is base64 in JSON.
type File struct {
	Path        string `json:"path"`
	Content     []byte `json:"content"`
	Owner       string `json:"owner"`
	Permissions uint32 `json:"permissions"`
	Append      bool   `json:"append"`
}

// Parse decodes a plan and refuses what would damage the guest's files of accounts.
func Parse(content []byte) (*Plan, error) {
	plan := &Plan{}
	if err := json.Unmarshal(content, plan); err != nil {
		return nil, fmt.Errorf("the user data does not parse: %w", err)
	}
	for _, user := range plan.Users {
		for _, field := range append([]string{user.Name, user.Gecos, user.Shell, user.Home}, user.Groups...) {
			if strings.ContainsAny(field, ":\n\x00") {
				return nil, fmt.Errorf("user %q: a field of an account must not contain a colon or a new line", user.Name)
			}
		}
		if user.Name == "" {
			return nil, fmt.Errorf("a user has no name")
		}
	}
	for _, file := range plan.WriteFiles {
		if !strings.HasPrefix(file.Path, "/") || strings.IndexByte(file.Path, 0) >= 0 {
			return nil, fmt.Errorf("%q is not an absolute path", file.Path)
		}
	}
	for _, command := range plan.Commands {
		if len(command) == 0 {
			return nil, fmt.Errorf("a command has no program")
		}
	}
	return plan, nil
}

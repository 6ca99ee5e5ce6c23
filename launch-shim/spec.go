package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Spec is the daemon's request: one line of JSON on standard input.
type Spec struct {
	// Argv is the program's absolute path and its arguments.
	Argv []string `json:"argv"`
	// UID and GID are the program's user; nil keeps the daemon's.
	UID *int `json:"uid"`
	// Groups are the supplementary groups when UID is set.
	Groups []int `json:"groups"`
	// FileBytesMax limits the size of each file that the program writes.
	FileBytesMax uint64 `json:"fileBytesMax"`
	// OomScoreAdj is the program's oom_score_adj: higher is killed earlier when memory runs out.
	OomScoreAdj int `json:"oomScoreAdj"`
	// CgroupFiles are the cgroup.procs files of the groups the program runs in.
	CgroupFiles []string `json:"cgroupFiles"`
	// Cwd is the program's working directory.
	Cwd string `json:"cwd"`
	// StatusFile is the path for the program's exit status; empty: not written.
	StatusFile string `json:"statusFile"`
	// DiesWithShim ends the program when the shim ends.
	DiesWithShim bool `json:"diesWithShim"`
	// Jail is nil for a program that sees the whole host.
	Jail *Jail `json:"jail"`
	// Taps are opened before the program starts; it finds them at descriptors 4, 5 and so on.
	Taps []Tap `json:"taps"`
}

// Tap is an existing tap device.
type Tap struct {
	Name string `json:"name"`
	// Netns is the path of its network namespace; nil: the daemon's own.
	Netns *string `json:"netns"`
}

// Jail is the part of the host that the program sees: only the paths named here, unchanged.
type Jail struct {
	// Root is an empty directory of the host. The new root is mounted on it, visible to the program alone.
	Root string `json:"root"`
	// UserNamespace lets an unprivileged shim create the other namespaces.
	UserNamespace bool     `json:"userNamespace"`
	ReadOnly      []string `json:"readOnly"`
	Writable      []string `json:"writable"`
}

// specBytesMax limits the line; enough for some 200 paths.
const specBytesMax = 1 << 20

// readLine reads byte by byte, because the bytes after the line belong to the second stage.
func readLine(from io.Reader) ([]byte, error) {
	var line bytes.Buffer
	one := make([]byte, 1)
	for line.Len() < specBytesMax {
		if _, err := io.ReadFull(from, one); err != nil {
			return nil, err
		}
		if one[0] == '\n' {
			return line.Bytes(), nil
		}
		line.WriteByte(one[0])
	}
	return nil, errors.New("the specification is too long")
}

func parseSpec(line []byte) (*Spec, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	spec := &Spec{}
	if err := decoder.Decode(spec); err != nil {
		return nil, err
	}
	if len(spec.Argv) == 0 || spec.Argv[0] == "" || spec.Argv[0][0] != '/' {
		return nil, errors.New("the program's path is not absolute")
	}
	for _, tap := range spec.Taps {
		if tap.Name == "" || len(tap.Name) >= interfaceNameBytes {
			return nil, errors.New("the name of a tap device must be 1 to 15 bytes")
		}
	}
	return spec, nil
}

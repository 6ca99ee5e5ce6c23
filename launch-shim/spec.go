package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Spec is what the daemon asks for; one line of JSON on standard input.
type Spec struct {
	// Argv is the program's absolute path and its arguments.
	Argv []string `json:"argv"`
	// UID and GID are the program's user; nil keeps the daemon's.
	UID *int `json:"uid"`
	// Groups are the supplementary groups when UID is set.
	Groups []int `json:"groups"`
	// FileBytesMax is the size that no file written by the program may exceed.
	FileBytesMax uint64 `json:"fileBytesMax"`
	// OomScoreAdj is how willingly the kernel kills the program when memory runs out.
	OomScoreAdj int `json:"oomScoreAdj"`
	// CgroupFiles are the cgroup.procs files of the groups the program runs in.
	CgroupFiles []string `json:"cgroupFiles"`
	// Cwd is the program's working directory.
	Cwd string `json:"cwd"`
	// StatusFile is where the end of the program is written; empty writes nothing.
	StatusFile string `json:"statusFile"`
	// DiesWithShim ends the program when the shim ends.
	DiesWithShim bool `json:"diesWithShim"`
	// Jail is nil for a program that sees the whole host.
	Jail *Jail `json:"jail"`
}

// Jail is what the program sees of the host: only what is named here, at the path it has on the host.
type Jail struct {
	// Root is an empty directory of the host; the new root is mounted on it, visible to the program alone.
	Root string `json:"root"`
	// UserNamespace gives a shim without privileges the right to make the other namespaces.
	UserNamespace bool     `json:"userNamespace"`
	ReadOnly      []string `json:"readOnly"`
	Writable      []string `json:"writable"`
}

// specBytesMax bounds the line: some 200 paths.
const specBytesMax = 1 << 20

// readLine reads one byte at a time, because what follows the line is not for this process.
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
	return spec, nil
}

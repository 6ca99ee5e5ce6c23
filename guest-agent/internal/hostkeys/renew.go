// Package hostkeys gives the guest's SSH server new host keys, because those of a copied guest are another machine's. It
// makes the keys itself: a guest may lack ssh-keygen. It knows nothing about the link, and signals no process.
package hostkeys

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	directory = "etc/ssh"
	// Where sshd looks for its host keys by default: ssh_host_KIND_key.
	namePrefix = "ssh_host_"
	nameSuffix = "_key"
	publicMode = 0o644
)

// Options of Renew.
type Options struct {
	// Root is the directory that holds the guest's files.
	Root string
	// Comment ends the public keys.
	Comment string
	// Reload makes running SSH servers read their keys again. It is not called while there is no key, because they would end.
	Reload func() error
}

// present is a host key that was found, and how its file is to look again.
type present struct {
	path string
	kind string
	info os.FileInfo
}

// Renew replaces the host keys that are there by new ones of the same kinds, and returns what could not be done. It first
// removes all of them: a guest that ends meanwhile has too few keys rather than another machine's. RSA takes seconds, so rest
// makes these keys, and must be called; it is nil when there are none. Servers are told after each part. Does nothing in a
// guest without host keys.
func Renew(options Options) (problems []string, rest func() []string) {
	found, err := find(options.Root)
	if err != nil {
		return []string{fmt.Sprintf("the SSH host keys cannot be listed: %v", err)}, nil
	}
	var quick, slow []present
	for _, key := range found {
		if err := key.remove(); err != nil {
			problems = append(problems, fmt.Sprintf("an SSH host key of the original machine stays: %v", err))
		}
		switch {
		case makers[key.kind] == nil:
			problems = append(problems, fmt.Sprintf("the SSH host key %s was removed: the guest agent makes no keys of this kind", key.path))
		case key.kind == "rsa":
			slow = append(slow, key)
		default:
			quick = append(quick, key)
		}
	}
	problems = append(problems, options.make(quick)...)
	if len(slow) > 0 {
		rest = func() []string { return options.make(slow) }
	}
	return problems, rest
}

// make makes keys, and tells servers of them.
func (o Options) make(keys []present) (problems []string) {
	isMade := false
	for _, key := range keys {
		if err := key.write(o.Comment); err != nil {
			problems = append(problems, fmt.Sprintf("no new SSH host key %s: %v", key.path, err))
			continue
		}
		isMade = true
	}
	if !isMade {
		return problems
	}
	if err := o.Reload(); err != nil {
		problems = append(problems, fmt.Sprintf("the SSH server was not told of its new host keys: %v", err))
	}
	return problems
}

func find(root string) ([]present, error) {
	entries, err := os.ReadDir(filepath.Join(root, directory))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var found []present
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, namePrefix) || !strings.HasSuffix(name, nameSuffix) || len(name) <= len(namePrefix+nameSuffix) {
			continue
		}
		// The key itself, not a link to it, is what must go.
		path, err := filepath.EvalSymlinks(filepath.Join(root, directory, name))
		if err != nil {
			continue
		}
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		kind := strings.TrimSuffix(strings.TrimPrefix(name, namePrefix), nameSuffix)
		found = append(found, present{path: path, kind: kind, info: info})
	}
	return found, nil
}

func (k present) remove() error {
	for _, path := range []string{k.path, k.path + ".pub"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (k present) write(comment string) error {
	private, public, err := generate(k.kind, comment)
	if err != nil {
		return err
	}
	if err := k.put(k.path, private, k.info.Mode().Perm()); err != nil {
		return err
	}
	return k.put(k.path+".pub", public, publicMode)
}

// put writes a file atomically and durably, with the owner that the key had.
func (k present) put(path string, content []byte, mode os.FileMode) (err error) {
	temporary := path + ".flotilla"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary)
		}
	}()
	_, err = file.Write(content)
	if stat, ok := k.info.Sys().(*syscall.Stat_t); ok && err == nil {
		err = file.Chown(int(stat.Uid), int(stat.Gid))
	}
	if err == nil {
		err = file.Chmod(mode)
	}
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

package userdata

import (
	"encoding/json"
	"os"
	"path/filepath"
)

const (
	stateDirectory = "/var/lib/flotilla"
	recordFile     = stateDirectory + "/user-data.json"
	// A record has a few hundred bytes.
	recordBytesMax = 64 << 10
)

// The states of a record.
const (
	stateRunning   = "running"
	stateSucceeded = "succeeded"
	stateFailed    = "failed"
)

// record is what the guest remembers across boots, so that nothing is done twice.
type record struct {
	Instance string `json:"instance"`
	State    string `json:"state"`
	Message  string `json:"message"`
	// Doing is the part that was begun last.
	Doing string `json:"doing"`
}

// readRecord returns the record of the instance; nil when there is none, or another instance's: that of an image,
// or of the machine whose disk this one's is a copy of.
func (g *Guest) readRecord(instance string) *record {
	found := g.lastRecord()
	if found == nil || found.Instance != instance {
		return nil
	}
	return found
}

// lastRecord returns the record, whichever instance it is of; nil when there is none.
func (g *Guest) lastRecord() *record {
	path := g.path(recordFile)
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > recordBytesMax {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	found := &record{}
	if json.Unmarshal(content, found) != nil {
		return nil
	}
	return found
}

// writeRecord is durable when it returns: a guest may be killed at any time.
func (g *Guest) writeRecord(entry record) error {
	if err := os.MkdirAll(g.path(stateDirectory), 0o700); err != nil {
		return err
	}
	content, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	return replaceFile(g.path(recordFile), append(content, '\n'), 0o600, nil)
}

// replaceFile replaces a file atomically and durably; own, if not nil, sets the owner of the open file.
func replaceFile(path string, content []byte, mode os.FileMode, own func(*os.File) error) (err error) {
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
	if err == nil && own != nil {
		err = own(file)
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
	if err = os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(path))
}

func syncDirectory(path string) error {
	directory, err := os.Open(path)
	if err != nil {
		return err
	}
	defer directory.Close()
	return directory.Sync()
}

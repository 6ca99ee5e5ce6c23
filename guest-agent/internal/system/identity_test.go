package system

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

var fork = Identity{Hostname: "fork", MachineID: strings.Repeat("0f", 16)}

// rootWith is a directory with these files; a content that begins with `->` is a link.
func rootWith(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := error(nil)
		if strings.HasPrefix(content, "->") {
			err = os.Symlink(content[2:], path)
		} else {
			err = os.WriteFile(path, []byte(content), 0o444)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestEveryCopyOfTheMachineIDIsReplaced(t *testing.T) {
	root := rootWith(t, map[string]string{
		hostsFile: "127.0.0.1 localhost\n127.0.1.1\torigin\n", hostnameFile: "origin\n", machineIDFile: "aa\n",
		machineIDCopies[0]: "aa\n", machineIDCopies[1]: "aa\n",
	})
	for i := 0; i < 2; i++ {
		if problems := writeIdentity(root, fork); len(problems) > 0 {
			t.Errorf("problems %v", problems)
		}
	}
	for name, want := range map[string]string{
		hostsFile: "127.0.0.1 localhost\n127.0.1.1\tfork\n", hostnameFile: "fork\n", machineIDFile: fork.MachineID + "\n",
		machineIDCopies[0]: fork.MachineID + "\n", machineIDCopies[1]: fork.MachineID + "\n",
	} {
		if got := read(filepath.Join(root, name)); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
}

func TestCopiesOfTheMachineIDThatAreNotThereOrAreLinksAreNotMade(t *testing.T) {
	root := rootWith(t, map[string]string{machineIDCopies[1]: "->/etc/machine-id"})
	if problems := writeIdentity(root, fork); len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	if _, err := os.Lstat(filepath.Join(root, machineIDCopies[0])); !os.IsNotExist(err) {
		t.Errorf("%s was made: %v", machineIDCopies[0], err)
	}
	if target, err := os.Readlink(filepath.Join(root, machineIDCopies[1])); err != nil || target != "/etc/machine-id" {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

func TestFilesThatCannotBeWrittenAreNamed(t *testing.T) {
	root := rootWith(t, map[string]string{hostnameFile + "/in-the-way": ""})
	problems := writeIdentity(root, fork)
	if len(problems) != 1 || !strings.Contains(problems[0], hostnameFile) {
		t.Errorf("problems %q", problems)
	}
	if got := read(filepath.Join(root, machineIDFile)); got != fork.MachineID+"\n" {
		t.Errorf("the others hold %q", got)
	}
}

func TestEntropyIsCreditedAndTheGeneratorReseeded(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root credits entropy")
	}
	// The clock is right, so that it is left alone.
	err := Machine{}.Resync(time.Now(), make([]byte, 64))
	if errors.Is(err, syscall.EPERM) {
		t.Skip("this root may not credit entropy")
	}
	if err != nil {
		t.Error(err)
	}
}

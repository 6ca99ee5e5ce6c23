package hostkeys

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

type world struct {
	root    string
	reloads []string
}

// guest is a root with these files in /etc/ssh.
func guest(t *testing.T, files map[string]string) *world {
	t.Helper()
	w := &world{root: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(w.root, directory), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.root, directory, name) }

func (w *world) names(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.root, directory))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func (w *world) renew(t *testing.T) []string {
	t.Helper()
	problems, rest := Renew(Options{Root: w.root, Comment: "root@fork", Reload: func() error {
		w.reloads = append(w.reloads, w.names(t))
		return nil
	}})
	if rest != nil {
		problems = append(problems, rest()...)
	}
	return problems
}

func TestEveryKindIsReplacedByAKeyThatOpenSSHReads(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("this host has no ssh-keygen")
	}
	w := guest(t, map[string]string{
		"ssh_host_ed25519_key": "old", "ssh_host_ed25519_key.pub": "old", "ssh_host_ecdsa_key": "old", "ssh_host_rsa_key": "old",
		"sshd_config": "Port 22\n", "ssh_host_key": "not one of them", "ssh_host__key": "nor this",
	})
	if err := os.Chmod(w.path("ssh_host_rsa_key"), 0o400); err != nil {
		t.Fatal(err)
	}
	if problems := w.renew(t); len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	for kind, want := range map[string]string{"ed25519": "256", "ecdsa": "256", "rsa": "3072"} {
		path := w.path("ssh_host_" + kind + "_key")
		derived, err := exec.Command(keygen, "-y", "-P", "", "-f", path).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", kind, err, derived)
		}
		public, err := os.ReadFile(path + ".pub")
		if err != nil || !bytes.Equal(public, derived) || !bytes.HasSuffix(public, []byte(" root@fork\n")) {
			t.Errorf("%s: the public key is %q, that of the private one %q, %v", kind, public, derived, err)
		}
		listed, err := exec.Command(keygen, "-l", "-f", path).CombinedOutput()
		if err != nil || !strings.HasPrefix(string(listed), want+" ") {
			t.Errorf("%s: %s, %v", kind, listed, err)
		}
		// ssh-keygen proves that the private part belongs to the public one by a signature.
		signed := exec.Command(keygen, "-Y", "sign", "-n", "test", "-f", path)
		signed.Stdin = strings.NewReader("words")
		signature, err := signed.Output()
		if err != nil {
			t.Fatalf("%s signs nothing: %v", kind, err)
		}
		file := filepath.Join(t.TempDir(), "signature")
		if err := os.WriteFile(file, signature, 0o600); err != nil {
			t.Fatal(err)
		}
		check := exec.Command(keygen, "-Y", "check-novalidate", "-n", "test", "-s", file)
		check.Stdin = strings.NewReader("words")
		if output, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s: its signature does not hold: %s", kind, output)
		}
	}
	for name, mode := range map[string]os.FileMode{"ssh_host_rsa_key": 0o400, "ssh_host_ed25519_key": 0o600, "ssh_host_rsa_key.pub": 0o644} {
		if info, err := os.Stat(w.path(name)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	for _, name := range []string{"ssh_host_key", "ssh_host__key", "sshd_config"} {
		if content, err := os.ReadFile(w.path(name)); err != nil || len(content) == 0 {
			t.Errorf("%s was touched: %v", name, err)
		}
	}
	if len(w.reloads) != 2 || strings.Contains(w.reloads[0], "rsa") || !strings.Contains(w.reloads[0], "ecdsa_key.pub") {
		t.Errorf("servers were told of %q", w.reloads)
	}
}

func TestTheKeysOfTwoForksDiffer(t *testing.T) {
	w := guest(t, map[string]string{"ssh_host_ed25519_key": "old"})
	seen := map[string]bool{}
	for i := 0; i < 2; i++ {
		w.renew(t)
		content, err := os.ReadFile(w.path("ssh_host_ed25519_key.pub"))
		if err != nil || seen[string(content)] {
			t.Fatalf("%q a second time, %v", content, err)
		}
		seen[string(content)] = true
	}
}

func TestAKeyOfAnUnknownKindIsRemovedAndNamed(t *testing.T) {
	w := guest(t, map[string]string{"ssh_host_dsa_key": "old", "ssh_host_dsa_key.pub": "old"})
	if problems := fmt.Sprint(w.renew(t)); !strings.Contains(problems, "ssh_host_dsa_key was removed") {
		t.Errorf("problems %s", problems)
	}
	if names := w.names(t); names != "" || len(w.reloads) != 0 {
		t.Errorf("left %s, servers were told %d times: they would end without a key", names, len(w.reloads))
	}
}

func TestAKeyBehindALinkIsReplacedWhereItIs(t *testing.T) {
	w := guest(t, nil)
	place := filepath.Join(w.root, "keys")
	if err := os.WriteFile(place, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(place, w.path("ssh_host_ed25519_key")); err != nil {
		t.Fatal(err)
	}
	if problems := w.renew(t); len(problems) > 0 {
		t.Errorf("problems %v", problems)
	}
	content, err := os.ReadFile(place)
	if err != nil || !bytes.Contains(content, []byte("OPENSSH PRIVATE KEY")) {
		t.Errorf("there is %q, %v", content, err)
	}
}

func TestAGuestWithoutKeysStaysWithout(t *testing.T) {
	w := guest(t, nil)
	if problems := w.renew(t); len(problems) != 0 || w.names(t) != "" || len(w.reloads) != 0 {
		t.Errorf("problems %v, files %s", problems, w.names(t))
	}
	if problems, rest := Renew(Options{Root: t.TempDir()}); len(problems) != 0 || rest != nil {
		t.Errorf("a guest without /etc/ssh: %v", problems)
	}
}

func TestAServerThatCannotBeToldIsNamed(t *testing.T) {
	w := guest(t, map[string]string{"ssh_host_ed25519_key": "old"})
	problems, _ := Renew(Options{Root: w.root, Reload: func() error { return errors.New("why") }})
	if len(problems) != 1 || !strings.Contains(problems[0], "was not told of its new host keys: why") {
		t.Errorf("problems %q", problems)
	}
}

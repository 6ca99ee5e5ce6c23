package calls

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guest-agent/internal/userdata"
)

func TestSSHKeys(t *testing.T) {
	g := newGuest(t)
	set := func(keys ...string) string {
		answer := g.host.Call("ssh_keys", arguments{"keys": keys})
		if answer["ok"] == true {
			return "ok"
		}
		return answer["code"].(string)
	}
	if said := set(); said != "unsupported" {
		t.Errorf("an agent without a root file system: %s", said)
	}
	root := t.TempDir()
	own := func(string, int, int) error { return nil }
	g.agent.userData = userdata.New(userdata.Options{Root: root, Own: own, Commands: g.agent.commands, Console: t.Logf})
	path := filepath.Join(root, "root", ".ssh", "authorized_keys")
	content := func() string {
		text, err := os.ReadFile(path)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(text)
	}
	if said := set(); said != "ok" || content() != "" {
		t.Errorf("no keys: %s, %q", said, content())
	}
	if said := set("ssh-ed25519 AAAA one", "ssh-ed25519 BBBB"); said != "ok" {
		t.Fatal(said)
	}
	if want := "ssh-ed25519 AAAA one managed-by-flotilla\nssh-ed25519 BBBB managed-by-flotilla\n"; content() != want {
		t.Errorf("got %q, want %q", content(), want)
	}
	// What somebody has added, also without an end of the last line, stays.
	others := "# mine\r\n\nssh-rsa CCCC of-mine managed-by-flotilla-too"
	if err := os.WriteFile(path, []byte(content()+others), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := set("ssh-ed25519 DDDD"); said != "ok" {
		t.Fatal(said)
	}
	if want := others + "\nssh-ed25519 DDDD managed-by-flotilla\n"; content() != want {
		t.Errorf("got %q, want %q", content(), want)
	}
	if said := set(); said != "ok" || content() != others+"\n" {
		t.Errorf("no keys any more: %s, %q", said, content())
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if said := set(); said != "ok" {
		t.Fatal(said)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Error("a file in which nothing changes was written")
	}
	for _, bad := range []string{"", "two\nlines"} {
		if said := set(bad); said != "internal" || strings.Contains(content(), "two") {
			t.Errorf("%q: %s", bad, said)
		}
	}
}

package calls

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guest-agent/internal/network"
	"guest-agent/internal/userdata"
)

const forkMAC = "02:66:0a:4d:00:09"

var adoption = with(with(identity, resync), arguments{"instance": "m2", "mac": forkMAC})

// onDisk gives the guest a root file system with an account for root.
func (g *guest) onDisk(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	own := func(string, int, int) error { return nil }
	g.agent.root = root
	g.agent.userData = userdata.New(userdata.Options{Root: root, Own: own, Commands: g.agent.commands, Console: t.Logf})
	return root
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenAdopt answers what the host sends; src/guest sends it and reads the answer.
func TestGoldenAdopt(t *testing.T) {
	content, err := os.ReadFile("../../../test/fixtures/frames/adopt.json")
	if err != nil {
		t.Fatal(err)
	}
	var frames []struct {
		Name, Request, Answer string
		Warnings              []string
	}
	if err := json.Unmarshal(content, &frames); err != nil || len(frames) == 0 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	for _, frame := range frames {
		g := newGuest(t)
		g.recorder.IdentityProblems = frame.Warnings
		stream := g.host.Open(frame.Request + "\n")
		answer, err := stream.Reader.ReadString('\n')
		if err != nil || answer != frame.Answer+"\n" {
			t.Errorf("%s: answered %s, %v", frame.Name, answer, err)
		}
		var asked struct{ MAC, Hostname string }
		if err := json.Unmarshal([]byte(frame.Request), &asked); err != nil {
			t.Fatal(err)
		}
		syncs := g.recorder.Syncs()
		if len(syncs) != 1 || syncs[0].Time.UnixNano() != 1700000000123457000 || syncs[0].Entropy[63] != 63 {
			t.Errorf("%s: synced %v", frame.Name, syncs)
		}
		if got := fmt.Sprint(g.recorder.Adopted()); got != "["+asked.MAC+"]" {
			t.Errorf("%s: interface %s", frame.Name, got)
		}
		if got := g.recorder.Identities(); len(got) != 1 || got[0].Hostname != asked.Hostname {
			t.Errorf("%s: identities %v", frame.Name, got)
		}
	}
}

func TestACopyBecomesAnotherMachine(t *testing.T) {
	g := newGuest(t)
	root := g.onDisk(t)
	write(t, filepath.Join(root, "root/.ssh/authorized_keys"), "ssh-ed25519 AAAA mine\nssh-ed25519 BBBB managed-by-flotilla\n")
	write(t, filepath.Join(root, "var/lib/flotilla/user-data.json"), `{"instance":"m1","state":"succeeded"}`)
	key := filepath.Join(root, "etc/ssh/ssh_host_ed25519_key")
	write(t, key, "old")
	var made []byte
	// The second time, for example when the first answer was lost, no key is made again.
	for i := 0; i < 2; i++ {
		if answer := g.host.Call("adopt", adoption); answer["ok"] != true || fmt.Sprint(answer["warnings"]) != "[]" {
			t.Fatalf("adopt: %v", answer)
		}
		present, err := os.ReadFile(key)
		if err != nil || !bytes.Contains(present, []byte("OPENSSH PRIVATE KEY")) || made != nil && !bytes.Equal(made, present) {
			t.Errorf("host key %s, %v", present, err)
		}
		made = present
	}
	if g.recorder.Reloads() != 1 {
		t.Errorf("servers were told %d times", g.recorder.Reloads())
	}
	if keys, err := os.ReadFile(filepath.Join(root, "root/.ssh/authorized_keys")); err != nil || string(keys) != "ssh-ed25519 AAAA mine\n" {
		t.Errorf("authorized keys %q, %v", keys, err)
	}
	if record, err := os.ReadFile(filepath.Join(root, "var/lib/flotilla/user-data.json")); err != nil || !strings.Contains(string(record), `"m2"`) {
		t.Errorf("user data %s, %v", record, err)
	}
	if answer := g.host.Call("hello", nil); answer["incarnation"] != "abc123def456" {
		t.Errorf("hello: %v", answer)
	}
	// A copy of the copy gets keys of its own.
	if answer := g.host.Call("adopt", with(adoption, arguments{"incarnation": "next", "instance": "m3"})); answer["ok"] != true {
		t.Fatalf("adopt: %v", answer)
	}
	if present, err := os.ReadFile(key); err != nil || bytes.Equal(made, present) {
		t.Errorf("the same host key, %v", err)
	}
}

func TestCommandsGoOnWhileTheirGuestBecomesAnotherMachine(t *testing.T) {
	g := newGuest(t)
	stream := g.exec(t, with(shell("echo begun; read word; echo $word"), arguments{"has_stdin": true}))
	if answer := g.host.Call("adopt", adoption); answer["ok"] != true {
		t.Fatalf("adopt: %v", answer)
	}
	stream.Send(16, []byte("on\n"))
	if result := stream.Finish(); string(result.Stdout) != "begun\non\n" {
		t.Errorf("printed %q", result.Stdout)
	}
}

func macOf(t *testing.T, text string) net.HardwareAddr {
	t.Helper()
	mac, err := net.ParseMAC(text)
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

func TestTheOriginalsLeaseIsGivenUp(t *testing.T) {
	g := newGuest(t)
	if answer := g.host.Call("network", arguments{"mac": "02:66:0a:4d:00:05", "dhcp": true}); answer["ok"] != true {
		t.Fatalf("network: %v", answer)
	}
	original := macOf(t, "02:66:0a:4d:00:05")
	if !g.agent.dhcp.IsFollowing(original) {
		t.Fatal("it follows nothing")
	}
	if answer := g.host.Call("adopt", adoption); answer["ok"] != true {
		t.Fatalf("adopt: %v", answer)
	}
	if g.agent.dhcp.IsFollowing(original) {
		t.Error("it still follows the original's lease")
	}
	// Under its own address it goes on, also when it is told twice.
	if answer := g.host.Call("network", arguments{"mac": forkMAC, "dhcp": true}); answer["ok"] != true {
		t.Fatalf("network: %v", answer)
	}
	if answer := g.host.Call("adopt", adoption); answer["ok"] != true || !g.agent.dhcp.IsFollowing(macOf(t, forkMAC)) {
		t.Errorf("its own lease is given up: %v", answer)
	}
}

func TestAdoptWarnings(t *testing.T) {
	g := newGuest(t)
	root := g.onDisk(t)
	g.recorder.NetworkError = fmt.Errorf("x: %w", network.ErrNoInterface)
	g.recorder.IdentityProblems = []string{"write /etc/hostname: read-only file system"}
	write(t, filepath.Join(root, "etc/ssh/ssh_host_dsa_key"), "old")
	// Neither can be replaced.
	write(t, filepath.Join(root, "var/lib/flotilla/user-data.json"), `{"instance":"m1","state":"succeeded"}`)
	write(t, filepath.Join(root, "var/lib/flotilla/user-data.json.flotilla/x"), "")
	write(t, filepath.Join(root, "root/.ssh/authorized_keys/x"), "")
	answer := g.host.Call("adopt", adoption)
	warnings, _ := answer["warnings"].([]interface{})
	for i, want := range []string{"no network interface", "/etc/hostname", "not recorded as this machine's", "stay in root's authorized_keys", "dsa_key was removed"} {
		if len(warnings) <= i || !strings.Contains(fmt.Sprint(warnings[i]), want) {
			t.Errorf("warning %d is not %q: %v", i, want, answer)
		}
	}
}

func TestAdoptFailures(t *testing.T) {
	for name, change := range map[string]arguments{
		"no incarnation": {"incarnation": ""},
		"hostname":       {"hostname": "a\nb"},
		"machine id":     {"machine_id": "abc"},
		"instance":       {"instance": "a b"},
		"mac":            {"mac": "eth0"},
		"long mac":       {"mac": "02:66:0a:4d:00:05:06:07"},
		"time":           {"time_ns": "now"},
		"entropy":        {"entropy": "AAAA"},
	} {
		g := newGuest(t)
		if answer := g.host.Call("adopt", with(adoption, change)); answer["code"] != "invalid" {
			t.Errorf("%s: %v", name, answer)
		}
		if len(g.recorder.Syncs())+len(g.recorder.Identities())+len(g.recorder.Adopted()) != 0 {
			t.Errorf("%s: something was set all the same", name)
		}
	}
	g := newGuest(t)
	g.recorder.NetworkError = fmt.Errorf("no such device")
	if answer := g.host.Call("adopt", adoption); answer["code"] != "internal" {
		t.Errorf("an interface that keeps the original's address: %v", answer)
	}
	if answer := g.host.Call("hello", nil); answer["incarnation"] != nil {
		t.Errorf("it took the name: %v", answer)
	}
}

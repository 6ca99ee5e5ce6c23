package system

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestHostsWith(t *testing.T) {
	for name, test := range map[string]struct{ hosts, want string }{
		"empty":    {"", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\tweb\n"},
		"added":    {"127.0.0.1 localhost\n10.0.0.1 db\n", "127.0.0.1 localhost\n10.0.0.1 db\n127.0.1.1\tweb\n"},
		"replaced": {"127.0.1.1 old older\n# note\n127.0.1.1 twice\n", "127.0.1.1\tweb\n# note\n"},
	} {
		got := hostsWith(test.hosts, "web")
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
		if again := hostsWith(got, "web"); again != got {
			t.Errorf("%s: a second time it becomes %q", name, again)
		}
	}
}

func TestWriteIfChangedReplacesTheFileOnlyWhenNeeded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	inode := func() uint64 {
		var info syscall.Stat_t
		if err := syscall.Stat(path, &info); err != nil {
			t.Fatal(err)
		}
		return info.Ino
	}
	if err := writeIfChanged(path, "one\n"); err != nil {
		t.Fatal(err)
	}
	first := inode()
	if err := writeIfChanged(path, "one\n"); err != nil || inode() != first {
		t.Errorf("an unchanged file was written again, %v", err)
	}
	if err := writeIfChanged(path, "two\n"); err != nil || read(path) != "two\n" {
		t.Errorf("the file holds %q, %v", read(path), err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
}

func TestARemainderTooSmallForAGroupIsIgnored(t *testing.T) {
	for needed, g := range map[bool]growth{false: {8192, 8192 + groupBlocksLeft}, true: {8192, 8193 + groupBlocksLeft}} {
		if g.isNeeded() != needed {
			t.Errorf("%+v is needed: %v", g, !needed)
		}
	}
}

func TestADiskWithoutAFileSystemIsNotGrown(t *testing.T) {
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if rest, err := growUnmounted(disk); err != nil || rest.isNeeded() {
		t.Errorf("%+v, %v", rest, err)
	}
	if content := read(disk); content != string(make([]byte, 1<<20)) {
		t.Error("it was written to")
	}
}

func TestUnescapeMount(t *testing.T) {
	if got := unescapeMount(`/a\040b\134c`); got != `/a b\c` {
		t.Errorf("%q", got)
	}
}

func TestNodeByAttributeNeedsTheNode(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "no-such-node")
	if err := os.Mkdir(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(directory, "name"), []byte("agent.0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if node := nodeByAttribute(filepath.Join(filepath.Dir(directory), "*", "name"), "agent.0"); node != "" {
		t.Errorf("%q, though it does not exist", node)
	}
}

func TestModes(t *testing.T) {
	for _, mode := range []Mode{Poweroff, Reboot, Halt} {
		if got, ok := ParseMode(string(mode)); !ok || got != mode {
			t.Errorf("%s parses as %s, %v", mode, got, ok)
		}
		if got := modeOf(powerSignals[mode]); got != mode {
			t.Errorf("%s asked for by signal is %s", mode, got)
		}
	}
	if _, ok := ParseMode("serve"); ok {
		t.Error("serve is no mode")
	}
	if got := modeOf(syscall.SIGINT); got != Reboot {
		t.Errorf("control-alt-delete is %s", got)
	}
}

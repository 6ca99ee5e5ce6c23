package system

import (
	"encoding/binary"
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

func superblock(blocks uint64, shift uint32, incompatible uint32) []byte {
	block := make([]byte, superblockBytes)
	binary.LittleEndian.PutUint16(block[magicAt:], ext4Magic)
	binary.LittleEndian.PutUint32(block[blockSizeAt:], shift)
	binary.LittleEndian.PutUint32(block[incompatibleAt:], incompatible)
	binary.LittleEndian.PutUint32(block[blocksLowAt:], uint32(blocks))
	binary.LittleEndian.PutUint32(block[blocksHighAt:], uint32(blocks>>32))
	return block
}

func TestParseGrowth(t *testing.T) {
	const large = uint64(5) << 32
	for name, test := range map[string]struct {
		block     []byte
		diskBytes uint64
		want      growth
		isNeeded  bool
	}{
		"grown disk":                    {superblock(1000, 2, 0), 8192 * 4096, growth{1000, 8192}, true},
		"full disk":                     {superblock(8192, 2, 0), 8192*4096 + 4095, growth{8192, 8192}, false},
		"remainder":                     {superblock(8192, 2, 0), (8192 + 64) * 4096, growth{8192, 8256}, false},
		"smaller":                       {superblock(8192, 2, 0), 4096 * 4096, growth{8192, 4096}, false},
		"64 bit":                        {superblock(large, 2, feature64Bit), 2 * large * 4096, growth{large, 2 * large}, true},
		"high bits without the feature": {superblock(large+7, 0, 0), 1024 * 1024, growth{7, 1024}, true},
	} {
		got, err := parseGrowth(test.block, test.diskBytes)
		if err != nil || got != test.want || got.isNeeded() != test.isNeeded {
			t.Errorf("%s: %+v, needed %v, %v; want %+v", name, got, got.isNeeded(), err, test.want)
		}
	}
	for name, block := range map[string][]byte{
		"no magic":   make([]byte, superblockBytes),
		"block size": superblock(1, 30, 0),
	} {
		if got, err := parseGrowth(block, 1<<30); err == nil {
			t.Errorf("%s: %+v, want an error", name, got)
		}
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

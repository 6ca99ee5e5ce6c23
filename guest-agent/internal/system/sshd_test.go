package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestOnlyTheListenersOfThisGuestsFilesAreHungUp(t *testing.T) {
	proc := t.TempDir()
	add := func(name, comm, command string, parent int, files string) {
		t.Helper()
		directory := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Join(directory, "ns"), 0o755); err != nil {
			t.Fatal(err)
		}
		for file, content := range map[string]string{
			"comm":    comm + "\n",
			"cmdline": strings.ReplaceAll(command, " ", "\x00"),
			"status":  fmt.Sprintf("Name:\t%s\nPPid:\t%d\nThreads:\t1\n", comm, parent),
		} {
			if err := os.WriteFile(filepath.Join(directory, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(files, filepath.Join(directory, "ns/mnt")); err != nil {
			t.Fatal(err)
		}
	}
	const own = "mnt:[1]"
	add("self", "agent", "/init", 0, own)
	add("1", "init", "/init", 0, own)
	add("10", "sshd", "sshd: /usr/sbin/sshd -D [listener] 1 of 10-100 startups", 1, own)
	add("11", "sshd", "sshd: root@pts/0", 10, own)
	// Its listener has ended.
	add("12", "sshd", "sshd: root@notty", 1, own)
	add("13", "sshd", "/usr/sbin/sshd -D", 10, own)
	add("20", "sshd", "/usr/sbin/sshd -p 2222", 1, own)
	add("30", "sshd", "sshd: /usr/sbin/sshd [listener] 0 of 10-100 startups", 1, "mnt:[2]")
	add("40", "sshd-session", "sshd-session: root", 10, own)
	got, err := sshListeners(proc)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, pid := range got {
		seen[pid] = true
	}
	if len(got) != 2 || !seen[10] || !seen[20] {
		t.Errorf("listeners %v, want 10 and 20", got)
	}
}

func TestTheParentOfThisProcessIsRead(t *testing.T) {
	if got := parentOf(read("/proc/self/status")); got != os.Getppid() {
		t.Errorf("parent %d of %s, want %d", got, strconv.Itoa(os.Getpid()), os.Getppid())
	}
}

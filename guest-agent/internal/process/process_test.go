package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const testWait = 30 * time.Second

func newStarter(t *testing.T) *Starter {
	t.Helper()
	reaper := NewReaper(false, t.Logf)
	t.Cleanup(reaper.Close)
	return &Starter{Reaper: reaper}
}

func TestParseStat(t *testing.T) {
	const rest = " 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4711 99"
	for stat, want := range map[string]tableEntry{
		"12 (sh) S 1 12 12 0 -1" + rest:         {parent: 1, group: 12, session: 12, start: 4711},
		"13 (a) S 9 (b) Z 12 13 14 0 -1" + rest: {parent: 12, group: 13, session: 14, start: 4711, dead: true},
	} {
		if got, ok := parseStat([]byte(stat)); !ok || got != want {
			t.Errorf("%q: %+v, %v; want %+v", stat, got, ok, want)
		}
	}
	for _, stat := range []string{"", "12", "12 (sh)", "12 (sh) S 1 2", "12 (sh) S a b c", "12 (sh) S 1 12 12 0 -1 4 5"} {
		if got, ok := parseStat([]byte(stat)); ok {
			t.Errorf("%q: %+v, want nothing", stat, got)
		}
	}
}

func TestSignalNames(t *testing.T) {
	for name, number := range map[string]syscall.Signal{"HUP": 1, "KILL": 9, "TERM": 15, "SYS": 31, "RTMIN+0": 34, "RTMIN+30": 64} {
		if got, ok := SignalNumber(name); !ok || got != number {
			t.Errorf("%s is %d, %v; want %d", name, got, ok, number)
		}
		if got := SignalName(number); got != name {
			t.Errorf("%d is %s, want %s", number, got, name)
		}
	}
	for _, name := range []string{"", "SIGTERM", "term", "RTMIN+99"} {
		if got, ok := SignalNumber(name); ok {
			t.Errorf("%q is %d, want none", name, got)
		}
	}
}

func TestAReaperThatDoesNotAdoptLeavesOthersChildren(t *testing.T) {
	starter := newStarter(t)
	process, err := starter.Start(Spec{Argv: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	<-process.Done()
	if err := exec.Command("true").Run(); err != nil {
		t.Errorf("the status of another's child was lost: %v", err)
	}
}

func TestStatusIsKeptEvenIfTheProcessEndsAtOnce(t *testing.T) {
	starter := newStarter(t)
	for i := 0; i < 100; i++ {
		process, err := starter.Start(Spec{Argv: []string{"sh", "-c", "exit 3"}})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-process.Done():
		case <-time.After(testWait):
			t.Fatal("the end of a process was missed")
		}
		if process.Status().ExitStatus() != 3 {
			t.Fatalf("status %v, want exit 3", process.Status())
		}
		process.Signal(syscall.SIGKILL)
		process.KillTree()
		process.Close()
	}
}

func TestAScriptStillOpenForWritingIsRetried(t *testing.T) {
	starter := newStarter(t)
	path := filepath.Join(t.TempDir(), "program")
	content, err := os.ReadFile("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := starter.Start(Spec{Argv: []string{path}}); err == nil || err.(*NotRunnableError).ExitCode != 126 {
		t.Errorf("a program that stays open for writing: %v, want 126", err)
	}
	timer := time.AfterFunc(2*busyWait, func() { _ = file.Close() })
	defer timer.Stop()
	process, err := starter.Start(Spec{Argv: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	<-process.Done()
	process.Close()
}

func TestNoDescriptorIsLeftOpen(t *testing.T) {
	starter := newStarter(t)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	run := func(argv ...string) {
		process, err := starter.Start(Spec{Argv: argv, Stdin: true})
		if err == nil {
			process.KillTree()
			<-process.Done()
			process.Close()
		}
	}
	run("true")
	before := count()
	for i := 0; i < 20; i++ {
		run("sleep", "1000")
		run("/etc/passwd")
		run("no-such-program")
		run("sh", "-c", "exit 1")
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

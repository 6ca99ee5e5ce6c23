package userdata

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"guest-agent/internal/commands"
	"guest-agent/internal/linktest"
	"guest-agent/internal/process"
)

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYg bob@example"

// world is a root file system in a temporary directory.
type world struct {
	t        *testing.T
	root     string
	registry *commands.Registry
	mu       sync.Mutex
	console  []string
	owners   map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	reaper := process.NewReaper(false, t.Logf)
	w := &world{t: t, root: t.TempDir(), owners: map[string]string{}}
	w.registry = commands.NewRegistry(&process.Starter{Reaper: reaper}, t.Logf)
	t.Cleanup(func() {
		w.registry.Close()
		reaper.Close()
	})
	w.put("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nold:x:1000:1000::/home/old:/bin/sh\n")
	w.put("/etc/group", "root:x:0:\nold:x:1000:\nadm:x:4:syslog\n")
	w.put("/etc/shadow", "root:*:19000:0:99999:7:::\n")
	return w
}

// boot makes the Guest of another boot of this root file system.
func (w *world) boot() *Guest {
	return New(Options{
		Root:     w.root,
		Commands: w.registry,
		Own: func(path string, uid, gid int) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			path = strings.TrimSuffix(strings.TrimPrefix(path, w.root), ".flotilla")
			w.owners[path] = fmt.Sprintf("%d:%d", uid, gid)
			return nil
		},
		Console: func(format string, arguments ...interface{}) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.console = append(w.console, fmt.Sprintf(format, arguments...))
		},
	})
}

func (w *world) put(path, content string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(w.root+path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.root+path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) get(path string) string {
	w.t.Helper()
	content, err := os.ReadFile(w.root + path)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(content)
}

func (w *world) isFile(path, content string, mode os.FileMode, owner string) {
	w.t.Helper()
	if got := w.get(path); got != content {
		w.t.Errorf("%s holds %q, want %q", path, got, content)
	}
	w.isNode(path, mode, owner)
}

func (w *world) isNode(path string, mode os.FileMode, owner string) {
	w.t.Helper()
	info, err := os.Stat(w.root + path)
	if err != nil {
		w.t.Fatal(err)
	}
	if info.Mode()&^os.ModeDir != mode || w.owners[path] != owner {
		w.t.Errorf("%s: mode %v of %q, want %v of %q", path, info.Mode(), w.owners[path], mode, owner)
	}
}

// run carries out a plan and returns why it failed.
func (w *world) run(guest *Guest, instance string, plan *Plan) string {
	w.t.Helper()
	run, err := guest.Begin(instance, plan)
	if err != nil {
		w.t.Fatal(err)
	}
	w.wait(run)
	return run.Failure()
}

func (w *world) wait(run *Run) {
	w.t.Helper()
	select {
	case <-run.Done():
	case <-time.After(linktest.Wait):
		w.t.Fatal("user data did not end")
	}
}

func TestUsersKeysAndFiles(t *testing.T) {
	w := newWorld(t)
	failure := w.run(w.boot(), "m1", &Plan{
		SSHAuthorizedKeys: []string{key},
		Users: []User{
			{Name: "bob", Gecos: "Bob B", Groups: []string{"adm", "new"}, Sudo: []string{"ALL=(ALL) NOPASSWD:ALL"}, SSHAuthorizedKeys: []string{key}},
			{Name: "old", Groups: []string{"adm"}},
			{Name: "svc", Home: "/srv/svc", Shell: "/bin/false"},
		},
		WriteFiles: []File{
			{Path: "/opt/a/b", Content: []byte("one\n"), Owner: "bob", Permissions: 0o4750},
			{Path: "/opt/a/b", Content: []byte("two\n"), Owner: "bob:adm", Permissions: 0o600, Append: true},
			{Path: "/etc/c", Content: []byte{0, 255}, Owner: "root:root", Permissions: 0o644},
		},
	})
	if failure != "" {
		t.Fatal(failure)
	}
	w.isFile("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nold:x:1000:1000::/home/old:/bin/sh\n"+
		"bob:x:1001:1001:Bob B:/home/bob:/bin/sh\nsvc:x:1003:1003::/srv/svc:/bin/false\n", 0o644, "0:0")
	w.isFile("/etc/group", "root:x:0:\nold:x:1000:\nadm:x:4:syslog,bob,old\nbob:x:1001:\nnew:x:1002:bob\nsvc:x:1003:\n", 0o644, "0:0")
	shadow := strings.Split(w.get("/etc/shadow"), "\n")
	if len(shadow) != 4 || !strings.HasPrefix(shadow[1], "bob:*:") || !strings.HasPrefix(shadow[2], "svc:*:") {
		t.Errorf("shadow: %q", shadow)
	}
	w.isFile("/etc/sudoers.d/90-flotilla-users", "bob ALL=(ALL) NOPASSWD:ALL\n", 0o440, "0:0")
	w.isNode("/home/bob", 0o755, "1001:1001")
	w.isNode("/home/bob/.ssh", 0o700, "1001:1001")
	w.isFile("/home/bob/.ssh/authorized_keys", key+"\n", 0o600, "1001:1001")
	w.isFile("/root/.ssh/authorized_keys", key+"\n", 0o600, "0:0")
	w.isFile("/opt/a/b", "one\ntwo\n", 0o600, "1001:4")
	w.isFile("/etc/c", "\x00\xff", 0o644, "0:0")
	if w.console[0] != "user data: begins" || w.console[len(w.console)-1] != "user data: succeeded" {
		t.Errorf("console: %q", w.console)
	}
}

func TestSetIDBitsSurviveTheOwner(t *testing.T) {
	w := newWorld(t)
	w.run(w.boot(), "m1", &Plan{WriteFiles: []File{{Path: "/x", Owner: "root", Permissions: 0o4755}}})
	w.isNode("/x", 0o755|os.ModeSetuid, "0:0")
}

func TestKeysThatAreThereStay(t *testing.T) {
	w := newWorld(t)
	w.put("/root/.ssh/authorized_keys", "first\n"+key)
	w.run(w.boot(), "m1", &Plan{SSHAuthorizedKeys: []string{key, "second"}})
	w.isFile("/root/.ssh/authorized_keys", "first\n"+key+"\nsecond\n", 0o600, "0:0")
}

func TestWithoutShadowNobodyGetsAPassword(t *testing.T) {
	w := newWorld(t)
	if err := os.Remove(w.root + "/etc/shadow"); err != nil {
		t.Fatal(err)
	}
	w.run(w.boot(), "m1", &Plan{Users: []User{{Name: "bob"}}})
	if !strings.Contains(w.get("/etc/passwd"), "\nbob:*:1001:") {
		t.Errorf("passwd: %q", w.get("/etc/passwd"))
	}
}

func TestFailuresDoNotStopTheRest(t *testing.T) {
	w := newWorld(t)
	mark := filepath.Join(w.root, "mark")
	failure := w.run(w.boot(), "m1", &Plan{
		WriteFiles: []File{{Path: "/x", Owner: "nobody-here"}},
		Packages:   []string{"nginx"},
		Commands: [][]string{
			{"sh", "-c", "echo one; printf 'no\\033[31msuch thing' >&2; exit 3"},
			{"/no/such/program"},
			{"sh", "-c", "kill -9 $$"},
			{"touch", mark},
		},
		Scripts: []string{"#!/bin/sh\necho from the script\nexit 4\n"},
	})
	want := "write_files, /x: no such user: nobody-here; packages: the guest has neither apt-get nor apk; " +
		"runcmd 1 of 4: exit code 3: no [31msuch thing; and 3 more"
	if failure != want {
		t.Errorf("failed with %q, want %q", failure, want)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}
	console := strings.Join(w.console, "\n")
	for _, line := range []string{
		"user data: failed: runcmd 2 of 4: /no/such/program: not found",
		"user data: failed: runcmd 3 of 4: killed by signal KILL",
		"user data: failed: script 1 of 1: exit code 4: from the script",
	} {
		if !strings.Contains(console, line) {
			t.Errorf("the console lacks %q: %s", line, console)
		}
	}
	if log := w.get(logPath); !strings.Contains(log, "one\n") || !strings.Contains(log, "from the script\n") {
		t.Errorf("log: %q", log)
	}
}

func TestOncePerInstance(t *testing.T) {
	w := newWorld(t)
	count := filepath.Join(w.root, "count")
	plan := &Plan{Commands: [][]string{{"sh", "-c", "echo x >> " + count + "; exit 1"}}}
	first := w.boot()
	failure := w.run(first, "m1", plan)
	if failure == "" || w.run(first, "m1", plan) != failure || w.run(w.boot(), "m1", plan) != failure {
		t.Errorf("the outcome was not kept: %q", failure)
	}
	if got := w.get("/count"); got != "x\n" {
		t.Errorf("it ran again: %q", got)
	}
	// A copy of the machine is another instance.
	w.run(first, "m2", plan)
	if got := w.get("/count"); got != "x\nx\n" {
		t.Errorf("another instance did not run: %q", got)
	}
}

func TestACopyOfARunningGuestInheritsWhatWasDone(t *testing.T) {
	w := newWorld(t)
	count := filepath.Join(w.root, "count")
	plan := &Plan{Commands: [][]string{{"sh", "-c", "echo x >> " + count + "; exit 1"}}}
	// The second guest has booted since, so that only its disk knows.
	first := w.boot()
	failure := w.run(first, "m1", plan)
	for i, guest := range []*Guest{first, w.boot()} {
		fork := fmt.Sprintf("fork-%d", i)
		for j := 0; j < 2; j++ {
			if err := guest.Inherit(fork); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.run(guest, fork, plan); got != failure {
			t.Errorf("its outcome is %q, want %q", got, failure)
		}
		if got := w.run(w.boot(), fork, plan); got != failure {
			t.Errorf("after a boot its outcome is %q, want %q", got, failure)
		}
	}
	if got := w.get("/count"); got != "x\n" {
		t.Errorf("it ran again: %q", got)
	}
}

func TestWhatIsUnderWayGoesOnInACopy(t *testing.T) {
	w := newWorld(t)
	fifo := filepath.Join(w.root, "fifo")
	plan := &Plan{Commands: [][]string{{"sh", "-c", "mkfifo " + fifo + "; cat " + fifo}, {"true"}}}
	guest := w.boot()
	run, err := guest.Begin("m1", plan)
	if err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { _, err := os.Stat(fifo); return err == nil })
	if err := guest.Inherit("fork"); err != nil {
		t.Fatal(err)
	}
	if again, err := guest.Begin("fork", plan); err != nil || again != run {
		t.Errorf("it began anew: %v", err)
	}
	if err := os.WriteFile(fifo, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.wait(run)
	if last := guest.lastRecord(); last == nil || last.Instance != "fork" || last.State != stateSucceeded {
		t.Errorf("recorded %+v", last)
	}
}

func TestAGuestThatHasCarriedOutNothingInheritsNothing(t *testing.T) {
	w := newWorld(t)
	guest := w.boot()
	if err := guest.Inherit("fork"); err != nil || guest.lastRecord() != nil {
		t.Errorf("recorded %+v, %v", guest.lastRecord(), err)
	}
}

func TestInterruptedByTheEndOfTheGuest(t *testing.T) {
	w := newWorld(t)
	fifo, mark := filepath.Join(w.root, "fifo"), filepath.Join(w.root, "mark")
	plan := &Plan{Commands: [][]string{{"sh", "-c", "mkfifo " + fifo + "; cat " + fifo}, {"touch", mark}}}
	guest := w.boot()
	run, err := guest.Begin("m1", plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := guest.Begin("m2", plan); err != ErrBusy {
		t.Errorf("another instance began meanwhile: %v", err)
	}
	until(t, func() bool { _, err := os.Stat(fifo); return err == nil })
	guest.Stop()
	w.registry.Close()
	until(t, func() bool { return strings.Contains(w.consoleText(), "runcmd 1 of 2: killed") })
	select {
	case <-run.Done():
		t.Error("a shutdown is not an outcome")
	default:
	}
	want := "the guest ended during runcmd 1 of 2; user data is not run again"
	for i := 0; i < 2; i++ {
		if failure := w.run(w.boot(), "m1", plan); failure != want {
			t.Errorf("failed with %q, want %q", failure, want)
		}
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a command ran after the shutdown began")
	}
}

func until(t *testing.T, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(linktest.Wait); !isSo(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen in time")
		}
	}
}

func (w *world) consoleText() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.console, "\n")
}

func TestPackages(t *testing.T) {
	w := newWorld(t)
	guest := w.boot()
	if err := os.MkdirAll(w.root+"/usr/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	program := func(name string) {
		if err := os.WriteFile(w.root+"/usr/bin/"+name, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	program("apk")
	if steps, _ := guest.packageSteps([]string{"a", "b"}); fmt.Sprint(steps) != "[[apk add --no-cache -- a b]]" {
		t.Errorf("apk: %v", steps)
	}
	program("apt-get")
	steps, env := guest.packageSteps([]string{"a"})
	last := steps[len(steps)-1]
	if len(steps) != 2 || last[len(last)-1] != "a" || env["DEBIAN_FRONTEND"] != "noninteractive" {
		t.Errorf("apt: %v %v", steps, env)
	}
	const header = "Iface\tDestination\tGateway\n"
	w.put("/proc/net/route", header+"eth0\t02004D0A\t00000000\n")
	w.put("/proc/net/ipv6_route", strings.Repeat("0", 32)+" 00 0 00 0 ffffffff 1 0 00200200 lo\n")
	if failure := w.run(guest, "m1", &Plan{Packages: []string{"a"}}); failure != "packages: the guest has no network, so packages cannot be fetched" {
		t.Errorf("without a network: %q", failure)
	}
	for _, route := range [][2]string{{"eth0\t00000000\t01004D0A\n", ""}, {"", strings.Repeat("0", 32) + " 00 0 00 1 eth0\n"}} {
		w.put("/proc/net/route", header+route[0])
		w.put("/proc/net/ipv6_route", route[1])
		if err := guest.requireNetwork(); err != nil {
			t.Errorf("with %q: %v", route, err)
		}
	}
}

func TestTheLogIsBounded(t *testing.T) {
	w := newWorld(t)
	w.run(w.boot(), "m1", &Plan{Commands: [][]string{{"sh", "-c", "head -c 3000000 /dev/zero; echo; echo the end; exit 1"}}})
	if size := len(w.get(logPath)); size < logBytesMax || size > logBytesMax+100 {
		t.Errorf("the log has %d bytes", size)
	}
	if !strings.HasSuffix(w.console[len(w.console)-1], "exit code 1: the end") {
		t.Errorf("console: %q", w.console)
	}
}

func TestARecordThatCannotBeWrittenPreventsTheStart(t *testing.T) {
	w := newWorld(t)
	w.put("/var/lib/flotilla", "a file")
	if _, err := w.boot().Begin("m1", &Plan{Commands: [][]string{{"touch", w.root + "/mark"}}}); err == nil {
		t.Error("it began, and would be done again at the next boot")
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{
		`{"users":[{"name":"a:b"}]}`, `{"users":[{"name":"a","gecos":"x\ny"}]}`, `{"users":[{"name":""}]}`,
		`{"users":[{"name":"a","groups":["b:c"]}]}`, `{"write_files":[{"path":"x"}]}`, `{"commands":[[]]}`, `[]`, ``,
	} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
	plan, err := Parse([]byte(`{"write_files":[{"path":"/x","content":"aGk=","append":true}],"unknown":1}`))
	if err != nil || string(plan.WriteFiles[0].Content) != "hi" || !plan.WriteFiles[0].Append {
		t.Errorf("%v %v", plan, err)
	}
}

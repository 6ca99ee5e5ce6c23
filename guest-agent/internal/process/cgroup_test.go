package process

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// newCgroups makes cgroups below the first mounted cgroup2.
func newCgroups(t *testing.T) *Cgroups {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[2] != "cgroup2" {
			continue
		}
		directory := filepath.Join(fields[1], "flotilla-agent-test-"+strings.ReplaceAll(filepath.Base(t.TempDir()), "/", ""))
		if cgroups := OpenCgroups(directory + time.Now().Format("150405.000000")); cgroups != nil {
			t.Cleanup(func() {
				if err := syscall.Rmdir(cgroups.directory); err != nil {
					t.Errorf("a cgroup is left: %v", err)
				}
			})
			return cgroups
		}
	}
	t.Skip("there is no cgroup2 here that can be written to and ended")
	return nil
}

func TestKillTreeEndsTheWholeCgroup(t *testing.T) {
	cgroups := newCgroups(t)
	starter := newStarter(t)
	starter.Cgroups = cgroups
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	script := `exec 3>"$FIFO"; (setsid sh -c '(setsid sh -c "trap : TERM; echo deep >&3; sleep 1000" &)'); cat /proc/self/cgroup >&3; sleep 1000`
	process, err := starter.Start(Spec{Argv: []string{"sh", "-c", script}, Env: map[string]string{"FIFO": fifo}})
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.SetDeadline(time.Now().Add(testWait)); err != nil {
		t.Fatal(err)
	}
	var said string
	buffer := make([]byte, 4096)
	for !strings.Contains(said, "deep") || !strings.Contains(said, filepath.Base(cgroups.directory)+"/1") {
		n, err := file.Read(buffer)
		if err != nil {
			t.Fatalf("%v after %q", err, said)
		}
		said += string(buffer[:n])
	}
	process.KillTree()
	<-process.Done()
	// The FIFO's end: no process holds it any more.
	for {
		if n, err := file.Read(buffer); err != nil || n == 0 {
			if n == 0 && err != nil && err.Error() != "EOF" {
				t.Errorf("a descendant lives: %v", err)
			}
			break
		}
	}
	process.Close()
	isGivenBack(t, cgroups)
}

// isGivenBack waits until no cgroup is left, because killed members take a moment to disappear.
func isGivenBack(t *testing.T, cgroups *Cgroups) {
	t.Helper()
	for deadline := time.Now().Add(testWait); len(cgroups.abandoned) > 0 && time.Now().Before(deadline); {
		cgroups.retry()
	}
	if len(cgroups.abandoned) != 0 {
		t.Errorf("%v is left", cgroups.abandoned)
	}
}

func TestACgroupThatIsStillUsedIsRemovedLater(t *testing.T) {
	cgroups := newCgroups(t)
	starter := newStarter(t)
	starter.Cgroups = cgroups
	process, err := starter.Start(Spec{Argv: []string{"sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"}})
	if err != nil {
		t.Fatal(err)
	}
	<-process.Done()
	members, err := os.ReadFile(process.cgroup.path + "/cgroup.procs")
	if err != nil || len(members) == 0 {
		t.Fatalf("%q, %v", members, err)
	}
	group := process.cgroup
	process.Close()
	if len(cgroups.abandoned) != 1 {
		t.Fatalf("%v", cgroups.abandoned)
	}
	group.kill()
	isGivenBack(t, cgroups)
}

// A pid from an earlier scan may belong to another process by now.
func TestAHandleReachesTheProcessThatWasSeenOrNobody(t *testing.T) {
	starter := newStarter(t)
	process, err := starter.Start(Spec{Argv: []string{"sleep", "1000"}})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	seen, ok := readStat(process.Pid)
	if !ok {
		t.Fatal("no process")
	}
	if _, ok := openHandle(process.Pid, seen.start-1); ok {
		t.Error("another process's start time opens a handle")
	}
	for _, withDescriptor := range []bool{true, false} {
		held, ok := openHandle(process.Pid, seen.start)
		if !ok {
			t.Fatal("no handle")
		}
		if !withDescriptor {
			held.close()
			held.fd = noFd
		}
		stale := held
		stale.start--
		if !withDescriptor {
			stale.signal(syscall.SIGKILL)
		}
		held.signal(syscall.SIGCONT)
		held.close()
	}
	select {
	case <-process.Done():
		t.Fatal("a stale handle ended the process")
	default:
	}
	held, _ := openHandle(process.Pid, seen.start)
	held.signal(syscall.SIGKILL)
	<-process.Done()
	held.signal(syscall.SIGKILL)
	held.close()
	if _, ok := openHandle(process.Pid, seen.start); ok {
		t.Error("a process that is gone opens a handle")
	}
}

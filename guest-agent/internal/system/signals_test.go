package system

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"guest-agent/internal/guard"
)

// asInit makes the test binary handle signals like a first process.
const asInit = "GUEST_AGENT_TEST_INIT"

func TestMain(m *testing.M) {
	if os.Getenv(asInit) != "" {
		log := func(format string, args ...interface{}) { fmt.Printf(format+"\n", args...) }
		OnPowerSignal(log, func(mode Mode) { fmt.Println(mode) })
		fmt.Println("ready")
		if os.Getenv(asInit) == "fault" {
			guard.Try("fault", log, func() { fmt.Println(*(*int)(nil)) })
		}
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// startAsInit runs the test binary as a first process; `next` reads its lines.
func startAsInit(t *testing.T, how string) (command *exec.Cmd, next func() string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command = exec.Command(self)
	command.Env = append(os.Environ(), asInit+"="+how)
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	lines := bufio.NewScanner(output)
	next = func() string {
		lines.Scan()
		return lines.Text()
	}
	if said := next(); said != "ready" {
		t.Fatalf("said %q", said)
	}
	return command, next
}

// Ways to send a signal to a process: kill, tgkill and sigqueue.
var waysToSend = map[string]func(pid int, number syscall.Signal) syscall.Errno{
	"kill": func(pid int, number syscall.Signal) syscall.Errno {
		_, _, errno := syscall.Syscall(syscall.SYS_KILL, uintptr(pid), uintptr(number), 0)
		return errno
	},
	"to a thread": func(pid int, number syscall.Signal) syscall.Errno {
		_, _, errno := syscall.Syscall(syscall.SYS_TGKILL, uintptr(pid), uintptr(pid), uintptr(number))
		return errno
	},
	"queued": func(pid int, number syscall.Signal) syscall.Errno {
		// struct siginfo: number, errno, SI_QUEUE.
		info := [32]int32{int32(number), 0, -1}
		_, _, errno := syscall.Syscall(syscall.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(number), uintptr(unsafe.Pointer(&info)))
		return errno
	},
}

// The kernel does not survive its first process, so no signal that a program in the guest can send may end
// it.
func TestSignalsThatOthersSendDoNotEndTheFirstProcess(t *testing.T) {
	for name, send := range waysToSend {
		t.Run(name, func(t *testing.T) {
			command, next := startAsInit(t, "signals")
			for number := syscall.Signal(1); number <= 64; number++ {
				switch number {
				case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
					// The kernel protects the first process from these.
					continue
				case syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT, syscall.SIGPWR:
					// Shutdown requests.
					continue
				}
				if number >= 32 && number <= 34 {
					// Reserved for C libraries: Go keeps their default, which the kernel does not apply to the first
					// process.
					continue
				}
				if errno := send(command.Process.Pid, number); errno != 0 {
					t.Fatalf("signal %d ended it: %v", number, errno)
				}
			}
			// Delivered after all of them.
			if errno := send(command.Process.Pid, syscall.SIGUSR2); errno != 0 {
				t.Fatal(errno)
			}
			if said := next(); said != "poweroff" {
				t.Fatalf("said %q", said)
			}
		})
	}
}

func TestFaultsOfTheFirstProcessItselfAreStillPanics(t *testing.T) {
	_, next := startAsInit(t, "fault")
	if said := next(); !strings.Contains(said, "nil pointer dereference") {
		t.Errorf("said %q", said)
	}
}

package system

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// asInit makes the test binary behave as a first process does with signals.
const asInit = "GUEST_AGENT_TEST_INIT"

func TestMain(m *testing.M) {
	if os.Getenv(asInit) != "" {
		log := func(format string, args ...interface{}) { fmt.Printf(format+"\n", args...) }
		OnPowerSignal(log, func(mode Mode) { fmt.Println(mode) })
		fmt.Println("ready")
		time.Sleep(time.Minute)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// The kernel does not survive its first process, so no signal that a program in the guest can send may end it.
func TestSignalsThatOthersSendDoNotEndTheFirstProcess(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), asInit+"=1")
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
	next := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("said %q, want %q", lines.Text(), want)
		}
	}
	next("ready")
	for number := syscall.Signal(1); number <= 64; number++ {
		switch number {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU:
			// The kernel does not let the first process be ended or stopped by these.
			continue
		case syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT, syscall.SIGPWR:
			// Requests to go down.
			continue
		}
		if number >= 32 && number <= 34 {
			// C libraries' own: Go leaves their default, which the kernel does not apply to the first process.
			continue
		}
		if err := command.Process.Signal(number); err != nil {
			t.Fatalf("signal %d ended it: %v", number, err)
		}
	}
	// Delivered behind all of them.
	if err := command.Process.Signal(syscall.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	next("poweroff")
}

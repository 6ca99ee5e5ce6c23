package system

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"guest-agent/internal/guard"
)

const installedAgent = "/run/flotilla/guest-agent"

var powerSignals = map[Mode]syscall.Signal{
	Halt:     syscall.SIGUSR1,
	Poweroff: syscall.SIGUSR2,
	Reboot:   syscall.SIGTERM,
}

// AskInit asks the first process to shut down, in the way of busybox's commands.
func AskInit(mode Mode) error {
	if err := syscall.Kill(1, powerSignals[mode]); err != nil {
		return fmt.Errorf("%s: %w", mode, err)
	}
	return nil
}

// Signals that would end a Go program, beside those of faults.
var fatalSignals = []os.Signal{
	syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE, syscall.SIGALRM, syscall.SIGXCPU, syscall.SIGXFSZ,
	syscall.SIGVTALRM, syscall.SIGPROF, syscall.SIGIO,
}

// OnPowerSignal calls act for each shutdown request by signal to the first process: those of AskInit, and
// control-alt-delete. It swallows other signals that would end a program, because the kernel does not survive
// its first process. It keeps the defaults of stop signals, which the kernel does not apply to its first process.
func OnPowerSignal(log guard.Log, act func(mode Mode)) {
	requests := make(chan os.Signal, 1)
	signal.Notify(requests, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, syscall.SIGINT, syscall.SIGPWR)
	swallowed := make(chan os.Signal, 1)
	signal.Notify(swallowed, fatalSignals...)
	if err := swallowSentSignals(); err != nil {
		log("%v", err)
	}
	guard.Go("signals", log, func() {
		for {
			select {
			case received := <-requests:
				guard.Try("power signal", log, func() { act(modeOf(received)) })
			case <-swallowed:
			}
		}
	})
}

func modeOf(received os.Signal) Mode {
	switch received {
	case syscall.SIGUSR1:
		return Halt
	case syscall.SIGUSR2, syscall.SIGPWR:
		return Poweroff
	default:
		return Reboot
	}
}

// InstallPowerCommands adds the commands poweroff, reboot and halt where the guest has none that work with
// this init.
func InstallPowerCommands() {
	if err := copySelf(installedAgent); err != nil {
		Log("install %s: %v", installedAgent, err)
		return
	}
	for mode := range powerSignals {
		directory := placeFor(string(mode))
		if directory == "" {
			continue
		}
		if err := os.Symlink(installedAgent, filepath.Join(directory, string(mode))); err != nil && !os.IsExist(err) {
			Log("install %s: %v", mode, err)
		}
	}
}

// placeFor returns the directory for a command; empty when there is a working one. A link to systemctl works
// only under systemd and is left alone, because /usr/local comes first in PATH.
func placeFor(command string) string {
	for _, directory := range []string{"/sbin", "/usr/sbin", "/bin", "/usr/bin"} {
		path := filepath.Join(directory, command)
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		if target, _ := filepath.EvalSymlinks(path); filepath.Base(target) == "systemctl" {
			return existingDirectory("/usr/local/sbin")
		}
		return ""
	}
	if directory := existingDirectory("/usr/sbin"); directory != "" {
		return directory
	}
	return existingDirectory("/sbin")
}

func existingDirectory(path string) string {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return ""
	}
	return path
}

func copySelf(target string) error {
	source, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer source.Close()
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	copied, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(copied, source); err != nil {
		_ = copied.Close()
		return err
	}
	return copied.Close()
}

package commands

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func open(t *testing.T, directories ...string) *Log {
	t.Helper()
	log, err := OpenLog("log", directories)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return log
}

func isEmpty(t *testing.T, directory string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil || len(entries) > 0 {
		t.Errorf("%v is left, %v", entries, err)
	}
}

// onFullDisk lets no file of this process grow, as on a disk without space.
func onFullDisk(t *testing.T, act func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 0, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
	}()
	act()
}

func TestALogIsInTheFirstDirectoryThatTakesIt(t *testing.T) {
	taken, free := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "log"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	log := open(t, "/nowhere/at/all", taken, free)
	info, err := os.Stat(log.Path())
	if log.Path() != filepath.Join(free, "log") || err != nil || info.Mode() != 0o600 || info.Size() != 0 {
		t.Errorf("%s, %v, %v", log.Path(), info, err)
	}
	if content, err := os.ReadFile(filepath.Join(taken, "log")); err != nil || string(content) != "mine" {
		t.Errorf("another's file has %q, %v", content, err)
	}
}

func TestADirectoryWithoutSpaceIsPassedOver(t *testing.T) {
	directory := t.TempDir()
	onFullDisk(t, func() {
		if _, err := OpenLog("log", []string{directory}); err == nil || !strings.Contains(err.Error(), directory) {
			t.Errorf("error %v", err)
		}
	})
	isEmpty(t, directory)
}

func TestWhatBecomesOfALog(t *testing.T) {
	for name, test := range map[string]struct {
		content  string
		isGone   bool
		isFull   bool
		standing Standing
	}{
		"shorter":              {content: "1234567", standing: LogRemoved},
		"as long":              {content: "12345678", standing: LogRemoved},
		"longer":               {content: "123456789", standing: LogKept},
		"short, and gone":      {content: "1", isGone: true, standing: LogRemoved},
		"longer, and gone":     {content: "123456789", isGone: true, standing: LogGone},
		"short, on full disk":  {content: "1", isFull: true, standing: LogRemoved},
		"longer, on full disk": {content: "123456789", isFull: true, standing: LogKept},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			log := open(t, directory)
			if _, err := log.File().WriteString(test.content); err != nil {
				t.Fatal(err)
			}
			if test.isGone {
				log.Remove()
			}
			settle := func() {
				if standing, isFull := log.Settle(8); standing != test.standing || isFull != test.isFull {
					t.Errorf("%s, full %v", standing, isFull)
				}
			}
			if test.isFull {
				onFullDisk(t, settle)
			} else {
				settle()
			}
			if test.standing == LogKept {
				if content, err := os.ReadFile(log.Path()); err != nil || string(content) != test.content {
					t.Errorf("the log has %q, %v", content, err)
				}
				log.Remove()
			}
			isEmpty(t, directory)
		})
	}
}

func TestAnotherFileInItsPlaceIsLeftAlone(t *testing.T) {
	directory := t.TempDir()
	log := open(t, directory)
	log.Remove()
	if err := os.WriteFile(log.Path(), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	log.Settle(8)
	if content, err := os.ReadFile(log.Path()); err != nil || string(content) != "mine" {
		t.Errorf("it has %q, %v", content, err)
	}
}

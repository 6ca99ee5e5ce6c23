package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const killed = syscall.WaitStatus(syscall.SIGKILL)
const exitedWith3 = syscall.WaitStatus(3 << 8)

func statusOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

func TestStatusNamesCodeOrSignal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "status.json")
	for status, want := range map[syscall.WaitStatus]string{
		killed:      `{"exitCode":null,"signal":9}`,
		exitedWith3: `{"exitCode":3,"signal":null}`,
	} {
		if err := writeStatus(path, status); err != nil {
			t.Fatal(err)
		}
		if got := statusOf(t, path); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if codeOf(killed) != 137 || codeOf(exitedWith3) != 3 {
		t.Errorf("exit codes %d and %d", codeOf(killed), codeOf(exitedWith3))
	}
}

func TestStatusFollowsNoLinkThatTheVMMHasLeft(t *testing.T) {
	directory := t.TempDir()
	victim := filepath.Join(directory, "victim")
	if err := os.WriteFile(victim, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 3; i++ {
		taken := filepath.Join(directory, ".status-"+strconv.Itoa(os.Getpid())+"-"+strconv.Itoa(i))
		if err := os.Symlink(victim, taken); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(directory, "status.json")
	if err := writeStatus(path, killed); err != nil {
		t.Fatal(err)
	}
	if got := statusOf(t, victim); got != "kept" {
		t.Errorf("the link was followed: %s", got)
	}
	if got := statusOf(t, path); !strings.Contains(got, "9") {
		t.Errorf("no status: %s", got)
	}
}

func TestSpecIsReadToTheEndOfItsLineAndNoFurther(t *testing.T) {
	input := strings.NewReader("{\"argv\":[\"/bin/true\"]}\ng")
	line, err := readLine(input)
	if err != nil {
		t.Fatal(err)
	}
	if input.Len() != 1 {
		t.Errorf("%d bytes left, want the one that is not for this process", input.Len())
	}
	spec, err := parseSpec(line)
	if err != nil || spec.Argv[0] != "/bin/true" || spec.UID != nil || spec.Jail != nil {
		t.Errorf("got %+v, %v", spec, err)
	}
}

func TestSpecsThatAreRefused(t *testing.T) {
	for _, text := range []string{"", "{}", `{"argv":[]}`, `{"argv":["relative"]}`, `{"argv":["/a"],"unknown":1}`} {
		if _, err := parseSpec([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if _, err := readLine(strings.NewReader(strings.Repeat("x", specBytesMax+1))); err == nil {
		t.Error("a line without an end was taken")
	}
}

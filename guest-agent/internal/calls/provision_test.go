package calls

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guest-agent/internal/linktest"
)

func (g *guest) provision(t *testing.T, instance string, plan interface{}) string {
	t.Helper()
	stream := g.begin(t, instance, plan)
	answer := stream.Answer()
	if answer["ok"] != true {
		return answer["code"].(string)
	}
	outcome, err := stream.Reader.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(outcome)
}

func (g *guest) begin(t *testing.T, instance string, plan interface{}) *linktest.Stream {
	t.Helper()
	content, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	line := linktest.Line(t, "provision", arguments{"instance": instance, "plan_bytes": len(content)})
	return g.host.Open(line + string(content))
}

func TestProvision(t *testing.T) {
	g := newGuest(t)
	if code := g.provision(t, "m1", arguments{}); code != "unsupported" {
		t.Errorf("an agent without a root file system: %s", code)
	}
	root := t.TempDir()
	g.agent.CarryOutUserData(root, t.Logf)
	count := filepath.Join(root, "count")
	plan := arguments{"commands": [][]string{{"sh", "-c", "echo x >> " + count + "; echo no >&2; exit 2"}}}
	want := `{"message":"runcmd 1 of 1: exit code 2: no","outcome":"failed"}`
	for i := 0; i < 2; i++ {
		if outcome := g.provision(t, "m1", plan); outcome != want {
			t.Errorf("outcome %s, want %s", outcome, want)
		}
	}
	if content, _ := os.ReadFile(count); string(content) != "x\n" {
		t.Errorf("it ran %q times", content)
	}
	if outcome := g.provision(t, "m2", arguments{}); outcome != `{"outcome":"succeeded"}` {
		t.Errorf("outcome %s", outcome)
	}
	for _, bad := range []interface{}{arguments{"commands": "x"}, arguments{"users": []arguments{{"name": "a:b"}}}} {
		if code := g.provision(t, "m3", bad); code != "invalid" {
			t.Errorf("%v: %s", bad, code)
		}
	}
	if code := g.provision(t, "../x", arguments{}); code != "invalid" {
		t.Errorf("a path as instance: %s", code)
	}
}

func TestProvisionGoesOnWithoutItsHost(t *testing.T) {
	g := newGuest(t)
	root := t.TempDir()
	g.agent.CarryOutUserData(root, t.Logf)
	fifo := filepath.Join(root, "fifo")
	stream := g.begin(t, "m1", arguments{"commands": [][]string{{"sh", "-c", "mkfifo " + fifo + "; cat " + fifo}}})
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatal(answer)
	}
	_ = stream.Close()
	done := make(chan string, 1)
	go func() { done <- g.provision(t, "m1", arguments{}) }()
	// The command waits for this; the second call attaches to it.
	for {
		if file, err := os.OpenFile(fifo, os.O_WRONLY, 0); err == nil {
			_ = file.Close()
			break
		}
	}
	if outcome := <-done; outcome != `{"outcome":"succeeded"}` {
		t.Errorf("outcome %s", outcome)
	}
}

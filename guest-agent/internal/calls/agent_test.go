package calls

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"guest-agent/internal/linktest"
	"guest-agent/internal/system"
)

func TestHello(t *testing.T) {
	guest := newGuest(t)
	answer := guest.host.Call("hello", nil)
	if answer["ok"] != true || answer["agent_version"] != "1.2.3" || answer["protocol_version"] != float64(1) ||
		answer["kernel_release"] != system.KernelRelease() {
		t.Errorf("hello: %v", answer)
	}
	if incarnation, present := answer["incarnation"]; !present || incarnation != nil {
		t.Errorf("incarnation %v before identify, want null", incarnation)
	}
}

func identity(extra arguments) arguments {
	all := arguments{
		"incarnation": "abc123def456",
		"hostname":    "web-1",
		"machine_id":  strings.Repeat("0f", 16),
		"time_ns":     "1700000000123456789",
		"entropy":     base64.StdEncoding.EncodeToString(make([]byte, 64)),
	}
	for name, value := range extra {
		all[name] = value
	}
	return all
}

func TestIdentify(t *testing.T) {
	guest := newGuest(t)
	for i := 0; i < 2; i++ {
		if answer := guest.host.Call("identify", identity(nil)); answer["ok"] != true {
			t.Fatalf("identify: %v", answer)
		}
	}
	given := guest.recorder.Identities()
	if len(given) != 2 || given[1].Hostname != "web-1" || given[1].Time.UnixNano() != 1700000000123456789 || len(given[1].Entropy) != 64 {
		t.Errorf("identities %v", given)
	}
	if answer := guest.host.Call("hello", nil); answer["incarnation"] != "abc123def456" {
		t.Errorf("hello after identify: %v", answer)
	}
}

func TestIdentifyRefusesWhatIsNoIdentity(t *testing.T) {
	guest := newGuest(t)
	for name, extra := range map[string]arguments{
		"no incarnation":   {"incarnation": ""},
		"line in hostname": {"hostname": "a\nb"},
		"long hostname":    {"hostname": strings.Repeat("a", 65)},
		"short machine id": {"machine_id": "abc"},
		"machine id":       {"machine_id": strings.Repeat("X", 32)},
		"time":             {"time_ns": "now"},
		"time as number":   {"time_ns": 17},
		"entropy":          {"entropy": "AAAA"},
		"not base64":       {"entropy": "*"},
	} {
		t.Run(name, func(t *testing.T) {
			if answer := guest.host.Call("identify", identity(extra)); answer["ok"] != false || answer["code"] != "invalid" {
				t.Errorf("answer %v, want invalid", answer)
			}
		})
	}
	if given := guest.recorder.Identities(); len(given) != 0 {
		t.Errorf("identities %v, want none", given)
	}
}

func TestUnknownCall(t *testing.T) {
	guest := newGuest(t)
	if answer := guest.host.Call("fly", nil); answer["ok"] != false || answer["code"] != "unsupported" {
		t.Errorf("answer %v, want unsupported", answer)
	}
}

func TestNotReady(t *testing.T) {
	guest := newGuest(t)
	guest.agent.SetNotReady(errors.New("no root disk"))
	answer := guest.host.Call("hello", nil)
	if answer["ok"] != false || answer["code"] != "internal" || answer["message"] != "no root disk" {
		t.Errorf("answer %v", answer)
	}
}

func TestShutdownIsAnnounced(t *testing.T) {
	guest := newGuest(t)
	stream := guest.host.Open(linktest.Line(t, "shutdown", arguments{"mode": "reboot"}))
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatalf("shutdown: %v", answer)
	}
	announcement, err := guest.host.Session.AcceptStream()
	if err != nil {
		t.Fatal(err)
	}
	if err := announcement.SetDeadline(time.Now().Add(linktest.Wait)); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(announcement).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var said map[string]string
	if err := json.Unmarshal(line, &said); err != nil || said["call"] != "announce" || said["event"] != "reboot" {
		t.Errorf("announced %s, %v", line, err)
	}
	if _, err := announcement.Write([]byte(`{"ok":true}` + "\n")); err != nil {
		t.Fatal(err)
	}
	_ = announcement.Close()
	if answer := guest.host.Call("exec", arguments{"argv": []string{"true"}, "timeout_ms": 1000}); answer["code"] != "internal" {
		t.Errorf("exec while going down: %v", answer)
	}
	guest.agent.Close()
	if modes := guest.recorder.Modes(); len(modes) != 1 || modes[0] != system.Reboot {
		t.Errorf("modes %v, want one reboot", modes)
	}
}

func TestShutdownGoesOnWithoutAHost(t *testing.T) {
	guest := newGuest(t)
	guest.host.HangUp()
	guest.agent.Shutdown(system.Poweroff)
	guest.agent.Shutdown(system.Poweroff)
	if modes := guest.recorder.Modes(); len(modes) != 1 || modes[0] != system.Poweroff {
		t.Errorf("modes %v, want one poweroff", modes)
	}
}

func TestShutdownRefusesAnUnknownMode(t *testing.T) {
	guest := newGuest(t)
	if answer := guest.host.Call("shutdown", arguments{"mode": "explode"}); answer["code"] != "invalid" {
		t.Errorf("answer %v, want invalid", answer)
	}
}

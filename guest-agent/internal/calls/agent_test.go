package calls

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/linktest"
	"guest-agent/internal/system"
)

func TestHello(t *testing.T) {
	guest := newGuest(t)
	answer := guest.host.Call("hello", nil)
	if answer["ok"] != true || answer["agent_version"] != "1.2.3" || answer["protocol_version"] != float64(2) ||
		answer["protocol_version_min"] != float64(2) || answer["kernel_release"] != system.KernelRelease() {
		t.Errorf("hello: %v", answer)
	}
	if said := fmt.Sprint(answer["features"]); said != "[commands command_wait terminal rekey resync files pack_name logged connect network dhcp adopt]" {
		t.Errorf("features %s", said)
	}
	if incarnation, present := answer["incarnation"]; !present || incarnation != nil {
		t.Errorf("incarnation %v before identity, want null", incarnation)
	}
}

func with(base, extra arguments) arguments {
	all := arguments{}
	for _, some := range []arguments{base, extra} {
		for name, value := range some {
			all[name] = value
		}
	}
	return all
}

var (
	identity = arguments{"incarnation": "abc123def456", "hostname": "web-1", "machine_id": strings.Repeat("0f", 16)}
	resync   = arguments{"time_ns": "1700000000123456789", "entropy": base64.StdEncoding.EncodeToString(make([]byte, 64))}
	key      = arguments{"token": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, link.TokenBytes)), "incarnation": "fork"}
)

func TestIdentity(t *testing.T) {
	guest := newGuest(t)
	for i := 0; i < 2; i++ {
		if answer := guest.host.Call("identity", identity); answer["ok"] != true {
			t.Fatalf("identity: %v", answer)
		}
	}
	given := guest.recorder.Identities()
	if len(given) != 2 || given[1] != (system.Identity{Hostname: "web-1", MachineID: strings.Repeat("0f", 16)}) {
		t.Errorf("identities %v", given)
	}
	if answer := guest.host.Call("hello", nil); answer["incarnation"] != "abc123def456" {
		t.Errorf("hello after identity: %v", answer)
	}
	if syncs := guest.recorder.Syncs(); len(syncs) != 0 {
		t.Errorf("identity set the clock: %v", syncs)
	}
}

func TestResyncLeavesTheIdentityAlone(t *testing.T) {
	guest := newGuest(t)
	if answer := guest.host.Call("resync", resync); answer["ok"] != true {
		t.Fatalf("resync: %v", answer)
	}
	given := guest.recorder.Syncs()
	if len(given) != 1 || given[0].Time.UnixNano() != 1700000000123456789 || len(given[0].Entropy) != 64 {
		t.Errorf("syncs %v", given)
	}
	if identities := guest.recorder.Identities(); len(identities) != 0 {
		t.Errorf("resync wrote an identity: %v", identities)
	}
}

func TestInvalidIdentityTimeOrTokenIsRefused(t *testing.T) {
	guest := newGuest(t)
	for name, test := range map[string]struct {
		call      string
		arguments arguments
	}{
		"no incarnation":   {"identity", with(identity, arguments{"incarnation": ""})},
		"line in hostname": {"identity", with(identity, arguments{"hostname": "a\nb"})},
		"long hostname":    {"identity", with(identity, arguments{"hostname": strings.Repeat("a", 65)})},
		"short machine id": {"identity", with(identity, arguments{"machine_id": "abc"})},
		"machine id":       {"identity", with(identity, arguments{"machine_id": strings.Repeat("X", 32)})},
		"time":             {"resync", with(resync, arguments{"time_ns": "now"})},
		"time as number":   {"resync", with(resync, arguments{"time_ns": 17})},
		"entropy":          {"resync", with(resync, arguments{"entropy": "AAAA"})},
		"not base64":       {"resync", with(resync, arguments{"entropy": "*"})},
		"short token":      {"rekey", with(key, arguments{"token": "AAAA"})},
		"fork of nobody":   {"rekey", with(key, arguments{"incarnation": ""})},
	} {
		t.Run(name, func(t *testing.T) {
			if answer := guest.host.Call(test.call, test.arguments); answer["ok"] != false || answer["code"] != "invalid" {
				t.Errorf("answer %v, want invalid", answer)
			}
		})
	}
	if len(guest.recorder.Identities())+len(guest.recorder.Syncs()) != 0 {
		t.Error("something was set all the same")
	}
}

func TestARekeyedGuestAnswersTheNewToken(t *testing.T) {
	guest := newGuest(t)
	if answer := guest.host.Call("rekey", key); answer["ok"] != true {
		t.Fatalf("rekey: %v", answer)
	}
	if answer := guest.host.Call("hello", nil); answer["incarnation"] != "fork" {
		t.Errorf("hello on the session that rekeyed: %v", answer)
	}
	// That the old token is no longer answered is tested with the preamble.
	linktest.Greet(t, guest.host.Abandon(), bytes.Repeat([]byte{9}, link.TokenBytes), linktest.Nonce(3))
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
	stream := guest.host.Open(linktest.Line(t, "shutdown", arguments{"mode": "reboot", "grace_ms": 1500}))
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
	if answer := guest.host.Start(arguments{"argv": []string{"true"}, "timeout_ms": 1000}).Answer(); answer["code"] != "internal" {
		t.Errorf("start while going down: %v", answer)
	}
	guest.agent.Close()
	if stops := guest.recorder.Stops(); len(stops) != 1 || stops[0] != (system.Stop{Mode: system.Reboot, Grace: 1500 * time.Millisecond}) {
		t.Errorf("stops %v, want one reboot with the grace that was asked for", stops)
	}
}

func TestShutdownGoesOnWithoutAHost(t *testing.T) {
	guest := newGuest(t)
	guest.host.HangUp()
	guest.agent.Shutdown(system.Poweroff, time.Second)
	guest.agent.Shutdown(system.Poweroff, time.Second)
	if stops := guest.recorder.Stops(); len(stops) != 1 || stops[0].Mode != system.Poweroff {
		t.Errorf("stops %v, want one poweroff", stops)
	}
}

func TestShutdownRefusesAnUnknownMode(t *testing.T) {
	guest := newGuest(t)
	for _, all := range []arguments{{"mode": "explode"}, {"mode": "halt", "grace_ms": -1}, {"mode": "halt", "grace_ms": int64(1) << 40}} {
		if answer := guest.host.Call("shutdown", all); answer["code"] != "invalid" {
			t.Errorf("%v: answer %v, want invalid", all, answer)
		}
	}
}

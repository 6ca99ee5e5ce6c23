package calls

import (
	"fmt"
	"testing"

	"guest-agent/internal/network"
)

var networkArguments = arguments{
	"mac":            "02:66:0a:4d:00:05",
	"addresses":      []arguments{{"address": "10.77.0.5", "prefix": 32}, {"address": "fd77::5", "prefix": 128}},
	"gateways":       []string{"10.77.0.1", "fd77::1"},
	"resolvers":      []string{"10.77.0.1"},
	"search_domains": []string{"flotilla.internal"},
}

func TestNetworkIsConfiguredAsPlanned(t *testing.T) {
	g := newGuest(t)
	if answer := g.host.Call("network", networkArguments); answer["ok"] != true {
		t.Fatalf("refused: %v", answer)
	}
	plan := g.recorder.Plans()[0]
	got := fmt.Sprint(plan.MAC, plan.Addresses, plan.Gateways, plan.Resolvers, plan.SearchDomains)
	const want = "02:66:0a:4d:00:05 [{10.77.0.5 ffffffff} {fd77::5 ffffffffffffffffffffffffffffffff}] [10.77.0.1 fd77::1] [10.77.0.1] [flotilla.internal]"
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestNetworkRefusals(t *testing.T) {
	g := newGuest(t)
	for name, change := range map[string]arguments{
		"no mac":      {"mac": ""},
		"long mac":    {"mac": "02:66:0a:4d:00:05:06:07"},
		"no address":  {"addresses": []arguments{{"address": "example.com", "prefix": 32}}},
		"long prefix": {"addresses": []arguments{{"address": "10.77.0.5", "prefix": 33}}},
		"gateway":     {"gateways": []string{"gateway"}},
		"domain":      {"search_domains": []string{"a b"}},
	} {
		given := arguments{}
		for key, value := range networkArguments {
			given[key] = value
		}
		for key, value := range change {
			given[key] = value
		}
		if answer := g.host.Call("network", given); answer["code"] != "invalid" {
			t.Errorf("%s: %v", name, answer)
		}
	}
	g.recorder.NetworkError = fmt.Errorf("x: %w", network.ErrNoInterface)
	if answer := g.host.Call("network", networkArguments); answer["code"] != "not_found" {
		t.Errorf("without an interface: %v", answer)
	}
}

package calls

import (
	"encoding/base64"
	"strconv"
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/system"
)

const (
	entropyBytes        = 64
	hostnameBytesMax    = 64
	machineIDBytes      = 32
	incarnationBytesMax = 64
)

type identifyArguments struct {
	Incarnation string `json:"incarnation"`
	Hostname    string `json:"hostname"`
	MachineID   string `json:"machine_id"`
	TimeNs      string `json:"time_ns"`
	Entropy     string `json:"entropy"`
}

func (a *Agent) identify(call *link.Call) {
	var arguments identifyArguments
	if !call.Arguments(&arguments) {
		return
	}
	identity, reason := arguments.identity()
	if reason != "" {
		call.Fail(link.CodeInvalid, reason)
		return
	}
	if err := a.system.Identify(identity); err != nil {
		call.Fail(link.CodeInternal, err.Error())
		return
	}
	a.mu.Lock()
	a.incarnation = arguments.Incarnation
	a.mu.Unlock()
	_ = call.Succeed(nil)
}

// identity checks the arguments; the reason is empty when they are good.
func (i *identifyArguments) identity() (identity system.Identity, reason string) {
	nanoseconds, timeErr := strconv.ParseInt(i.TimeNs, 10, 64)
	entropy, entropyErr := base64.StdEncoding.DecodeString(i.Entropy)
	switch {
	case i.Incarnation == "" || len(i.Incarnation) > incarnationBytesMax:
		return identity, "incarnation must be 1 to 64 bytes"
	case !isHostname(i.Hostname):
		return identity, "hostname must be 1 to 64 letters, digits, dots and hyphens"
	case len(i.MachineID) != machineIDBytes || !consistsOf(i.MachineID, isHexDigit):
		return identity, "machine_id must be 32 lower-case hexadecimal digits"
	case timeErr != nil || nanoseconds <= 0:
		return identity, "time_ns must be nanoseconds since 1970 as a string"
	case entropyErr != nil || len(entropy) != entropyBytes:
		return identity, "entropy must be 64 bytes in base64"
	}
	return system.Identity{
		Hostname:  i.Hostname,
		MachineID: i.MachineID,
		Time:      time.Unix(0, nanoseconds),
		Entropy:   entropy,
	}, ""
}

func isHostname(name string) bool {
	return name != "" && len(name) <= hostnameBytesMax && name[0] != '-' && name[0] != '.' &&
		consistsOf(name, func(c byte) bool {
			return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.'
		})
}

func isHexDigit(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' }

func consistsOf(text string, allowed func(c byte) bool) bool {
	for i := 0; i < len(text); i++ {
		if !allowed(text[i]) {
			return false
		}
	}
	return true
}

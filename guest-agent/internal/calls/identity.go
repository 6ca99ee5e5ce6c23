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

const incarnationReason = "incarnation must be 1 to 64 bytes"

func isIncarnation(name string) bool { return name != "" && len(name) <= incarnationBytesMax }

// identity sets the guest's identity.
func (a *Agent) identity(call *link.Call) {
	var arguments struct {
		Incarnation string `json:"incarnation"`
		Hostname    string `json:"hostname"`
		MachineID   string `json:"machine_id"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	switch {
	case !isIncarnation(arguments.Incarnation):
		call.Fail(link.CodeInvalid, incarnationReason)
		return
	case !isHostname(arguments.Hostname):
		call.Fail(link.CodeInvalid, "hostname must be 1 to 64 letters, digits, dots and hyphens")
		return
	case len(arguments.MachineID) != machineIDBytes || !consistsOf(arguments.MachineID, isHexDigit):
		call.Fail(link.CodeInvalid, "machine_id must be 32 lower-case hexadecimal digits")
		return
	}
	err := a.system.Identify(system.Identity{Hostname: arguments.Hostname, MachineID: arguments.MachineID})
	if err != nil {
		call.Fail(link.CodeInternal, err.Error())
		return
	}
	a.setIncarnation(arguments.Incarnation)
	_ = call.Succeed(nil)
}

func (a *Agent) setIncarnation(incarnation string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.incarnation = incarnation
}

// resync sets what a paused or copied guest cannot keep: the time and unique random numbers.
func (a *Agent) resync(call *link.Call) {
	var arguments struct {
		TimeNs  string `json:"time_ns"`
		Entropy string `json:"entropy"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	nanoseconds, timeErr := strconv.ParseInt(arguments.TimeNs, 10, 64)
	entropy, entropyErr := base64.StdEncoding.DecodeString(arguments.Entropy)
	switch {
	case timeErr != nil || nanoseconds <= 0:
		call.Fail(link.CodeInvalid, "time_ns must be nanoseconds since 1970 as a string")
		return
	case entropyErr != nil || len(entropy) != entropyBytes:
		call.Fail(link.CodeInvalid, "entropy must be 64 bytes in base64")
		return
	}
	if err := a.system.Resync(time.Unix(0, nanoseconds), entropy); err != nil {
		call.Fail(link.CodeInternal, err.Error())
		return
	}
	_ = call.Succeed(nil)
}

// rekey makes this guest another incarnation: until then, a copied guest has its original's token.
func (a *Agent) rekey(call *link.Call) {
	var arguments struct {
		Token       string `json:"token"`
		Incarnation string `json:"incarnation"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	token, err := base64.StdEncoding.DecodeString(arguments.Token)
	switch {
	case err != nil || len(token) != link.TokenBytes:
		call.Fail(link.CodeInvalid, "token must be 32 bytes in base64")
		return
	case !isIncarnation(arguments.Incarnation):
		call.Fail(link.CodeInvalid, incarnationReason)
		return
	}
	a.setIncarnation(arguments.Incarnation)
	a.server.Rekey(token)
	_ = call.Succeed(nil)
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

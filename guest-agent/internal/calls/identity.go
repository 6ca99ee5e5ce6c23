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

type identityArguments struct {
	Incarnation string `json:"incarnation"`
	Hostname    string `json:"hostname"`
	MachineID   string `json:"machine_id"`
}

// check returns why the arguments are invalid, or nothing.
func (i *identityArguments) check() string {
	switch {
	case !isIncarnation(i.Incarnation):
		return incarnationReason
	case !isHostname(i.Hostname):
		return "hostname must be 1 to 64 letters, digits, dots and hyphens"
	case len(i.MachineID) != machineIDBytes || !consistsOf(i.MachineID, isHexDigit):
		return "machine_id must be 32 lower-case hexadecimal digits"
	}
	return ""
}

func (i *identityArguments) identity() system.Identity {
	return system.Identity{Hostname: i.Hostname, MachineID: i.MachineID}
}

// identity sets the guest's identity.
func (a *Agent) identity(call *link.Call) {
	var arguments identityArguments
	if !call.Arguments(&arguments) {
		return
	}
	if reason := arguments.check(); reason != "" {
		call.Fail(link.CodeInvalid, reason)
		return
	}
	problems, err := a.system.Identify(arguments.identity())
	if err != nil {
		call.Fail(link.CodeInternal, err.Error())
		return
	}
	for _, problem := range problems {
		a.log("%s", problem)
	}
	a.setIncarnation(arguments.Incarnation)
	_ = call.Succeed(nil)
}

func (a *Agent) setIncarnation(incarnation string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.incarnation = incarnation
}

type syncArguments struct {
	TimeNs  string `json:"time_ns"`
	Entropy string `json:"entropy"`
}

// sync returns why the arguments are invalid, or nothing.
func (s *syncArguments) sync() (sync system.Sync, reason string) {
	nanoseconds, err := strconv.ParseInt(s.TimeNs, 10, 64)
	if err != nil || nanoseconds <= 0 {
		return sync, "time_ns must be nanoseconds since 1970 as a string"
	}
	entropy, err := base64.StdEncoding.DecodeString(s.Entropy)
	if err != nil || len(entropy) != entropyBytes {
		return sync, "entropy must be 64 bytes in base64"
	}
	return system.Sync{Time: time.Unix(0, nanoseconds), Entropy: entropy}, ""
}

// resync sets what a paused or copied guest cannot keep: the time and unique random numbers.
func (a *Agent) resync(call *link.Call) {
	var arguments syncArguments
	if !call.Arguments(&arguments) {
		return
	}
	sync, reason := arguments.sync()
	if reason != "" {
		call.Fail(link.CodeInvalid, reason)
		return
	}
	if err := a.system.Resync(sync.Time, sync.Entropy); err != nil {
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

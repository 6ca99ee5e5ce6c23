package calls

import (
	"time"

	"guest-agent/internal/link"
	"guest-agent/internal/system"
)

const graceMax = time.Hour

func (a *Agent) shutdown(call *link.Call) {
	var arguments struct {
		Mode    string `json:"mode"`
		GraceMs int64  `json:"grace_ms"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	mode, ok := system.ParseMode(arguments.Mode)
	if !ok {
		call.Fail(link.CodeInvalid, "mode must be poweroff, reboot or halt")
		return
	}
	grace := system.DefaultGrace
	if arguments.GraceMs != 0 {
		grace = time.Duration(arguments.GraceMs) * time.Millisecond
	}
	if grace < 0 || grace > graceMax {
		call.Fail(link.CodeInvalid, "grace_ms must be at most an hour")
		return
	}
	_ = call.Succeed(nil)
	_ = call.Close()
	a.Shutdown(mode, grace)
}

// Shutdown notifies the host, then ends this guest; processes get the grace to exit by themselves. Only the
// first call has an effect; it returns only outside a virtual machine.
func (a *Agent) Shutdown(mode system.Mode, grace time.Duration) {
	a.mu.Lock()
	isFirst := !a.goingDown
	a.goingDown = true
	a.mu.Unlock()
	if !isFirst {
		return
	}
	if a.userData != nil {
		a.userData.Stop()
	}
	if err := a.server.Announce(string(mode), announceWait); err != nil {
		a.log("announce %s: %v", mode, err)
	}
	a.system.Shutdown(mode, grace)
}

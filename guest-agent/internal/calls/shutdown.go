package calls

import (
	"guest-agent/internal/link"
	"guest-agent/internal/system"
)

func (a *Agent) shutdown(call *link.Call) {
	var arguments struct {
		Mode string `json:"mode"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	mode, ok := system.ParseMode(arguments.Mode)
	if !ok {
		call.Fail(link.CodeInvalid, "mode must be poweroff, reboot or halt")
		return
	}
	_ = call.Succeed(nil)
	_ = call.Close()
	a.Shutdown(mode)
}

// Shutdown tells the host, then ends this guest. Only the first call does; it returns only outside a virtual machine.
func (a *Agent) Shutdown(mode system.Mode) {
	a.mu.Lock()
	isFirst := !a.goingDown
	a.goingDown = true
	a.mu.Unlock()
	if !isFirst {
		return
	}
	if err := a.server.Announce(string(mode), announceWait); err != nil {
		a.log("announce %s: %v", mode, err)
	}
	a.system.Shutdown(mode)
}

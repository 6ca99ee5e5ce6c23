package calls

import (
	"fmt"

	"guest-agent/internal/link"
)

// The host sends at most 64.
const sshKeysMax = 256

// sshKeys makes the given lines those of root's authorized_keys that belong to the machine.
func (a *Agent) sshKeys(call *link.Call) {
	if a.userData == nil {
		call.Fail(link.CodeUnsupported, "this guest has no root file system")
		return
	}
	var arguments struct {
		Keys []string `json:"keys"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	if len(arguments.Keys) > sshKeysMax {
		call.Fail(link.CodeInvalid, fmt.Sprintf("at most %d keys", sshKeysMax))
		return
	}
	if err := a.userData.SetMachineKeys(arguments.Keys); err != nil {
		call.Fail(link.CodeInternal, "root's authorized_keys were not changed: "+err.Error())
		return
	}
	_ = call.Succeed(nil)
}

package calls

import (
	"errors"
	"fmt"
	"net"
	"time"

	"guest-agent/internal/guard"
	"guest-agent/internal/hostkeys"
	"guest-agent/internal/link"
	"guest-agent/internal/network"
)

// How long the host waits for SSH host keys. They take milliseconds, unless some were being made when this guest was copied.
const hostKeysWait = 20 * time.Second

// renewal is the making of an incarnation's SSH host keys, but for those of RSA, which nobody waits for.
type renewal struct {
	incarnation string
	done        chan struct{}
	// problems is valid once done is closed.
	problems []string
}

// adopt makes this copy of a running guest another machine's guest. Random numbers come first, because everything else may
// need them, and the interface next, because until then the copy uses its original's address. What a guest may have made
// impossible, such as writing to its root, is a warning.
func (a *Agent) adopt(call *link.Call) {
	var arguments struct {
		identityArguments
		syncArguments
		Instance string `json:"instance"`
		MAC      string `json:"mac"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	sync, reason := arguments.sync()
	if reason == "" {
		reason = arguments.check()
	}
	mac, err := net.ParseMAC(arguments.MAC)
	switch {
	case reason != "":
	case !isCommandID(arguments.Instance):
		reason = "instance must be 1 to 64 letters, digits, hyphens and underscores"
	case arguments.MAC != "" && (err != nil || len(mac) != hardwareAddrSize):
		reason = "mac must be six bytes in hexadecimal, or null for a guest without a network"
	}
	if reason != "" {
		call.Fail(link.CodeInvalid, reason)
		return
	}
	if err := a.system.Resync(sync.Time, sync.Entropy); err != nil {
		call.Fail(link.CodeInternal, err.Error())
		return
	}
	warnings, err := a.become(arguments.identityArguments, arguments.Instance, mac)
	if err != nil {
		call.Fail(link.CodeInternal, err.Error())
		return
	}
	keys := a.renewHostKeys(arguments.Incarnation, arguments.Hostname)
	limit := time.NewTimer(hostKeysWait)
	defer limit.Stop()
	select {
	case <-keys.done:
		warnings = append(warnings, keys.problems...)
	case <-limit.C:
		warnings = append(warnings, fmt.Sprintf("SSH host keys are not replaced yet after %s; the guest goes on with it", hostKeysWait))
	case <-call.Ended():
		return
	}
	_ = call.Succeed(map[string]interface{}{"warnings": warnings})
}

// become gives this guest interface, names and records of the machine. Idempotent.
func (a *Agent) become(names identityArguments, instance string, mac net.HardwareAddr) (warnings []string, err error) {
	warnings = []string{}
	if !a.dhcp.IsFollowing(mac) {
		// The original's lease is not this guest's.
		a.dhcp.Stop()
	}
	if err := a.system.AdoptInterface(mac); errors.Is(err, network.ErrNoInterface) {
		warnings = append(warnings, "the guest has no network interface of its own: "+err.Error())
	} else if err != nil {
		return nil, err
	}
	problems, err := a.system.Identify(names.identity())
	if err != nil {
		return nil, err
	}
	warnings = append(warnings, problems...)
	if a.userData != nil {
		if err := a.userData.Inherit(instance); err != nil {
			warnings = append(warnings, fmt.Sprintf("the user data that was carried out is not recorded as this machine's: %v", err))
		}
		// Those of this machine follow by ssh_keys.
		if err := a.userData.SetMachineKeys(nil); err != nil {
			warnings = append(warnings, fmt.Sprintf("keys of the original machine stay in root's authorized_keys: %v", err))
		}
	}
	a.setIncarnation(names.Incarnation)
	return warnings, nil
}

// renewHostKeys begins to make the incarnation's SSH host keys, or returns what was begun for it before.
func (a *Agent) renewHostKeys(incarnation, hostname string) *renewal {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.renewal != nil && a.renewal.incarnation == incarnation {
		return a.renewal
	}
	keys := &renewal{incarnation: incarnation, done: make(chan struct{})}
	a.renewal = keys
	if a.userData == nil {
		close(keys.done)
		return keys
	}
	guard.Go("SSH host keys", a.log, func() {
		var rest func() []string
		// What was being made when this guest was copied is the original's, too; it is replaced when it is complete.
		a.hostKeysMu.Lock()
		defer a.hostKeysMu.Unlock()
		func() {
			defer close(keys.done)
			keys.problems = []string{"the guest agent failed to make SSH host keys"}
			options := hostkeys.Options{Root: a.root, Comment: "root@" + hostname, Reload: a.system.ReloadSSHD}
			keys.problems, rest = hostkeys.Renew(options)
		}()
		if rest == nil {
			return
		}
		for _, problem := range rest() {
			a.log("%s", problem)
		}
	})
	return keys
}

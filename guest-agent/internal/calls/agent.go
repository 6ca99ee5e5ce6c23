// Package calls implements the calls that the host can make: it connects the link with commands and the
// system. Their names and fields are specified in src/guest/protocol.ts.
package calls

import (
	"sync"
	"time"

	"guest-agent/internal/commands"
	"guest-agent/internal/dhcp"
	"guest-agent/internal/guard"
	"guest-agent/internal/link"
	"guest-agent/internal/process"
	"guest-agent/internal/system"
	"guest-agent/internal/userdata"
)

const (
	// How long to wait for the host to acknowledge an announced shutdown.
	announceWait = 500 * time.Millisecond
	// How long killed programs may take to end.
	closeWait = 10 * time.Second
)

// The features of every agent beyond protocol 2; see src/guest/protocol.ts.
var features = []string{"commands", "command_wait", "terminal", "rekey", "resync", "files", "pack_name", "logged", "connect", "network", "dhcp", "adopt"}

// featuresOfRoot need a root file system.
var featuresOfRoot = []string{featureUserData, "ssh_keys"}

const featureUserData = "user_data"

// Agent answers the host's calls.
type Agent struct {
	version  string
	system   system.System
	commands *commands.Registry
	log      guard.Log
	server   *link.Server
	// userData is nil when this agent carries out none.
	userData *userdata.Guest
	// root is the directory of the files that userData works in.
	root string
	dhcp dhcp.Follower
	// hostKeysMu is held while SSH host keys are made.
	hostKeysMu sync.Mutex

	mu          sync.Mutex
	incarnation string
	notReady    error
	goingDown   bool
	renewal     *renewal
}

// New makes an agent. While it is not ready (see SetNotReady), it answers every call but shutdown with an
// error.
func New(version string, sys system.System, starter *process.Starter, log guard.Log) *Agent {
	a := &Agent{version: version, system: sys, commands: commands.NewRegistry(starter, log), log: log}
	a.server = link.NewServer(map[string]link.Handler{
		"hello":        a.ready(a.hello),
		"identity":     a.ready(a.identity),
		"resync":       a.ready(a.resync),
		"network":      a.ready(a.network),
		"lease":        a.ready(a.lease),
		"rekey":        a.ready(a.rekey),
		"adopt":        a.ready(a.adopt),
		"start":        a.ready(a.start),
		"start_logged": a.ready(a.startLogged),
		"attach":       a.ready(a.attach),
		"stdin":        a.ready(a.stdin),
		"wait":         a.ready(a.wait),
		"signal":       a.ready(a.signal),
		"resize":       a.ready(a.resize),
		"list":         a.ready(a.list),
		"forget":       a.ready(a.forget),
		"connect":      a.ready(a.connect),
		"provision":    a.ready(a.provision),
		"ssh_keys":     a.ready(a.sshKeys),
		"shutdown":     a.shutdown,

		"file_stat":   a.ready(a.fileStat),
		"file_read":   a.ready(a.fileRead),
		"file_write":  a.ready(a.fileWrite),
		"file_list":   a.ready(a.fileList),
		"file_mkdir":  a.ready(a.fileMkdir),
		"file_move":   a.ready(a.fileMove),
		"file_remove": a.ready(a.fileRemove),
		"file_pack":   a.ready(a.filePack),
		"file_unpack": a.ready(a.fileUnpack),
		"file_watch":  a.ready(a.fileWatch),
	}, log)
	return a
}

// SetNotReady makes every call but shutdown fail with the reason.
func (a *Agent) SetNotReady(reason error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notReady = reason
}

// Serve answers calls on a carrier; see link.Server.
func (a *Agent) Serve(carrier link.Carrier) error { return a.server.Serve(carrier) }

// Close ends the link and the commands.
func (a *Agent) Close() {
	a.server.Close(closeWait)
	a.dhcp.Stop()
	a.commands.Close()
}

func (a *Agent) ready(handler link.Handler) link.Handler {
	return func(call *link.Call) {
		a.mu.Lock()
		reason, goingDown := a.notReady, a.goingDown
		a.mu.Unlock()
		switch {
		case reason != nil:
			call.Fail(link.CodeInternal, reason.Error())
		case goingDown && isBeginning(call.Name):
			call.Fail(link.CodeInternal, "the guest is shutting down")
		default:
			handler(call)
		}
	}
}

// isBeginning is true for calls that begin what a shutdown would end.
func isBeginning(name string) bool {
	return name == "start" || name == "start_logged" || name == "provision"
}

func (a *Agent) hello(call *link.Call) {
	a.mu.Lock()
	incarnation := interface{}(nil)
	if a.incarnation != "" {
		incarnation = a.incarnation
	}
	a.mu.Unlock()
	supported := append([]string{}, features...)
	if a.userData != nil {
		supported = append(supported, featuresOfRoot...)
	}
	_ = call.Succeed(map[string]interface{}{
		"agent_version":        a.version,
		"protocol_version":     link.ProtocolVersion,
		"protocol_version_min": link.ProtocolVersionMin,
		"features":             supported,
		"kernel_release":       system.KernelRelease(),
		"incarnation":          incarnation,
	})
}

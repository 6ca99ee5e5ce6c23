package main

import (
	"runtime"
	"time"

	"guest-agent/internal/calls"
	"guest-agent/internal/guard"
	"guest-agent/internal/link"
	"guest-agent/internal/process"
	"guest-agent/internal/system"
)

const (
	// How long a guest that failed to start keeps the reason available to its host before it powers itself off.
	failedWait = 60 * time.Second
	// Measured under emulation on one CPU: half the timer interrupts, and twice the output speed.
	processorsMin = 2
)

// runGuest is the life of process 1; it does not return. The port is opened before the root disk is ready, so
// that the host's first request waits in the guest; it is answered when programs can run.
func runGuest() {
	defer func() {
		fault := recover()
		system.Complain("the guest agent ended: %v", fault)
		system.PowerOffNow()
	}()
	// With one P, Go takes it away from every long system call and wakes another thread.
	if runtime.NumCPU() < processorsMin {
		runtime.GOMAXPROCS(processorsMin)
	}
	if err := system.MountKernel(); err != nil {
		system.Complain("%v", err)
	}
	system.LoadModules()
	port, portErr := openPort()
	rootErr := system.EnterRoot()
	if portErr != nil && rootErr != nil {
		system.Complain("%v; %v", portErr, rootErr)
		system.PowerOffNow()
	}
	starter := &process.Starter{Reaper: process.NewReaper(true, system.Log), Cgroups: process.OpenCgroups(system.CommandCgroups)}
	agent := calls.New(version, system.Machine{}, starter, system.Log)
	agent.CarryOutUserData("/", system.Complain)
	shutDown := func(mode system.Mode) {
		guard.Go("shutdown", system.Complain, func() { agent.Shutdown(mode, system.DefaultGrace) })
	}
	system.OnPowerSignal(system.Complain, shutDown)
	if rootErr != nil {
		system.Complain("the guest cannot start: %v", rootErr)
		agent.SetNotReady(rootErr)
		guard.After(failedWait, "power off", system.Complain, func() { agent.Shutdown(system.Poweroff, system.DefaultGrace) })
	} else {
		system.Prepare()
		guard.Go("install power commands", system.Complain, system.InstallPowerCommands)
	}
	if portErr != nil {
		system.Complain("the guest is not reachable: %v", portErr)
		select {}
	}
	serveForEver(agent, port)
}

func openPort() (*link.Port, error) {
	node, err := system.AgentPort()
	if err != nil {
		return nil, err
	}
	return link.OpenPort(node)
}

// serveForEver keeps serving after any error: a guest without its link is useless, and its first process must
// not end.
func serveForEver(agent *calls.Agent, port *link.Port) {
	for {
		err := serveOnce(agent, port)
		system.Complain("guest link: %v", err)
		time.Sleep(time.Second)
	}
}

func serveOnce(agent *calls.Agent, port *link.Port) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			system.Complain("guest link: %v", fault)
		}
	}()
	return agent.Serve(port)
}

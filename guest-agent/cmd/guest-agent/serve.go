package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"guest-agent/internal/calls"
	"guest-agent/internal/guard"
	"guest-agent/internal/link"
	"guest-agent/internal/process"
	"guest-agent/internal/system"
)

// serve answers one host after another on a socket, or a single one on a descriptor or standard input and
// output. It ends with the descriptor, or on SIGTERM or SIGINT.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	fd := flags.Int("fd", -1, "serve on this open descriptor")
	root := flags.String("root", "", "carry out user data in this directory")
	socket := flags.String("socket", "", "listen on this path")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := func(format string, args ...interface{}) { fmt.Fprintf(os.Stderr, "guest-agent: "+format+"\n", args...) }
	reaper := process.NewReaper(false, log)
	defer reaper.Close()
	agent := calls.New(version, &system.Recorder{}, &process.Starter{Reaper: reaper}, log)
	defer agent.Close()
	if *root != "" {
		agent.CarryOutUserData(*root, log)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	done := make(chan error, 1)
	switch {
	case *socket != "" && *fd >= 0:
		return errors.New("serve either --fd or --socket")
	case *socket != "":
		listener, err := net.Listen("unix", *socket)
		if err != nil {
			return err
		}
		defer listener.Close()
		guard.Go("serve", log, func() { done <- serveListener(agent, listener) })
	case *fd >= 0:
		carrier, err := descriptor(*fd)
		if err != nil {
			return err
		}
		guard.Go("serve", log, func() { done <- agent.Serve(carrier) })
	default:
		carrier, err := standardStreams()
		if err != nil {
			return err
		}
		guard.Go("serve", log, func() { done <- agent.Serve(carrier) })
	}
	select {
	case err := <-done:
		return err
	case <-stop:
		return nil
	}
}

// serveListener serves connections one at a time, as a virtio port's socket does.
func serveListener(agent *calls.Agent, listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		// A broken connection is the host's problem; the next one is served.
		_ = agent.Serve(conn)
		_ = conn.Close()
	}
}

// descriptor makes a descriptor's reads and writes obey deadlines.
func descriptor(fd int) (*os.File, error) {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("descriptor %d: %w", fd, err)
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "carrier"), nil
}

// twoWay combines two pipes into a carrier.
type twoWay struct {
	io.Reader
	io.Writer
	in, out *os.File
}

// SetDeadline sets the deadline of both pipes.
func (t *twoWay) SetDeadline(deadline time.Time) error {
	if err := t.in.SetDeadline(deadline); err != nil {
		return err
	}
	return t.out.SetDeadline(deadline)
}

func standardStreams() (link.Carrier, error) {
	in, err := descriptor(0)
	if err != nil {
		return nil, err
	}
	out, err := descriptor(1)
	if err != nil {
		return nil, err
	}
	return &twoWay{Reader: in, Writer: out, in: in, out: out}, nil
}

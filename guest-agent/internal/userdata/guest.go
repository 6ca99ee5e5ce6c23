package userdata

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"guest-agent/internal/commands"
	"guest-agent/internal/guard"
)

// Limit of all parts together. A distribution's packages take minutes on a slow host.
const timeMax = time.Hour

// ErrBusy: the user data of another instance is being carried out.
var ErrBusy = errors.New("the user data of another instance is being carried out")

// Options of a Guest.
type Options struct {
	// Root is the directory that holds the guest's files.
	Root string
	// Own sets a file's owner; nil: as the system does it.
	Own func(path string, uid, gid int) error
	// Commands runs the programs.
	Commands *commands.Registry
	// Console shows progress.
	Console guard.Log
}

// Guest carries out user data.
type Guest struct {
	options Options

	// keysMu is held while a file of authorized keys is changed.
	keysMu sync.Mutex

	mu      sync.Mutex
	current *Run
	stopped chan struct{}
	stop    sync.Once
}

// New makes a Guest.
func New(options Options) *Guest {
	if options.Own == nil {
		options.Own = chown
	}
	return &Guest{options: options, stopped: make(chan struct{})}
}

func (g *Guest) path(path string) string { return filepath.Join(g.options.Root, path) }

// Run is one instance's user data, from its beginning to its outcome.
type Run struct {
	// instance is protected by the guest's mu.
	instance string
	done     chan struct{}
	message  string
}

// Done closes when everything was done or has failed. It stays open when the guest shuts down before.
func (r *Run) Done() <-chan struct{} { return r.done }

// Failure is why it failed, or empty; valid once Done is closed.
func (r *Run) Failure() string { return r.message }

// Begin starts the instance's user data, unless it was begun before: then it returns that run, or its outcome from
// an earlier boot. What a shutdown or a crash interrupted has failed and is not repeated.
func (g *Guest) Begin(instance string, plan *Plan) (*Run, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current != nil {
		if g.current.instance == instance {
			return g.current, nil
		}
		select {
		case <-g.current.done:
		default:
			return nil, ErrBusy
		}
	}
	run := &Run{instance: instance, done: make(chan struct{})}
	if before := g.readRecord(instance); before != nil {
		run.message = before.Message
		if before.State == stateRunning {
			run.message = fmt.Sprintf("the guest ended during %s; user data is not run again", before.Doing)
			if err := g.writeRecord(record{Instance: instance, State: stateFailed, Message: run.message}); err != nil {
				return nil, fmt.Errorf("record the outcome: %w", err)
			}
		}
		close(run.done)
		g.current = run
		return run, nil
	}
	if err := g.writeRecord(record{Instance: instance, State: stateRunning, Doing: "its beginning"}); err != nil {
		return nil, fmt.Errorf("record that user data has begun: %w", err)
	}
	g.current = run
	guard.Go("user data", g.options.Console, func() { g.carryOut(run, plan) })
	return run, nil
}

// Inherit makes what the original of a copied guest has carried out, or is carrying out, this instance's: it is not run
// again, and what was under way goes on. Idempotent.
func (g *Guest) Inherit(instance string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.current != nil {
		g.current.instance = instance
	}
	last := g.lastRecord()
	if last == nil || last.Instance == instance {
		return nil
	}
	last.Instance = instance
	return g.writeRecord(*last)
}

// note records a run's state, as that of the instance whose run it is now.
func (g *Guest) note(run *Run, entry record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	entry.Instance = run.instance
	return g.writeRecord(entry)
}

// Stop begins no further part: the guest is shutting down.
func (g *Guest) Stop() { g.stop.Do(func() { close(g.stopped) }) }

func (g *Guest) isStopped() bool {
	select {
	case <-g.stopped:
		return true
	default:
		return false
	}
}

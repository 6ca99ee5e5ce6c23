package commands

import (
	"errors"
	"sync"
	"syscall"
	"time"

	"guest-agent/internal/guard"
	"guest-agent/internal/process"
)

const (
	// OwnedMax limits the kept owned commands, including ended ones.
	OwnedMax = 64
	// Default size of one command's output buffer.
	bufferBytesDefault = 1 << 20
	// BufferBytesMax is the largest size that can be requested.
	BufferBytesMax = 8 << 20
	// Share of the guest's memory for all owned commands' output, between a minimum and a maximum.
	memoryShare  = 8
	budgetMin    = 2 << 20
	budgetMax    = 64 << 20
	closeTimeout = 10 * time.Second
	// How long an ended command keeps its place for a host that has not asked about it: of many that end at once, each
	// is asked about some time after its start.
	untoldKept = 10 * time.Second
)

// Errors of Start.
var (
	ErrTaken     = errors.New("a command with this id is known already")
	ErrExhausted = errors.New("too many commands, or too much of their output, are kept; forget some")
)

// Request is the command to start.
type Request struct {
	ID      string
	Owned   bool
	Spec    process.Spec
	Timeout time.Duration
	// BufferBytes is the size of the ring; 0: the default.
	BufferBytes int
	// Held: output is kept from its first byte until somebody reads, for at most half a minute.
	Held bool
}

// Registry finds commands by id.
type Registry struct {
	starter *process.Starter
	log     guard.Log
	budget  int

	mu       sync.Mutex
	commands map[string]*Command
	// owned are the owned commands, oldest first.
	owned    []*Command
	isClosed bool
}

// NewRegistry starts commands with starter.
func NewRegistry(starter *process.Starter, log guard.Log) *Registry {
	return &Registry{starter: starter, log: log, budget: memoryBudget(), commands: map[string]*Command{}}
}

func memoryBudget() int {
	var info syscall.Sysinfo_t
	if err := syscall.Sysinfo(&info); err != nil {
		return budgetMin
	}
	budget := uint64(info.Totalram) * uint64(info.Unit) / memoryShare
	switch {
	case budget < budgetMin:
		return budgetMin
	case budget > budgetMax:
		return budgetMax
	}
	return int(budget)
}

// Start runs a command. An owned one is kept after its end until it is forgotten or its place is needed; any
// other is removed by Drop. Errors other than ErrTaken and ErrExhausted come from process.Starter.
func (r *Registry) Start(request Request) (*Command, error) {
	if len(request.Spec.Argv) == 0 {
		return nil, &process.InvalidError{Reason: "argv must name a program"}
	}
	capacity := request.BufferBytes
	switch {
	case !request.Owned:
		// Its reader takes everything at once.
		capacity = RingBytesMin
	case capacity == 0:
		capacity = bufferBytesDefault
	}
	command := newCommand(request.ID, request.Owned, request.Spec, capacity, r.log)
	if err := r.add(command); err != nil {
		return nil, err
	}
	if request.Held {
		command.hold()
	}
	started, err := r.starter.Start(request.Spec)
	if err != nil {
		command.letGo()
		r.remove(command)
		return nil, err
	}
	r.mu.Lock()
	command.process = started
	isClosed := r.isClosed
	r.mu.Unlock()
	guard.Go("command", r.log, func() { command.run(request.Timeout) })
	if isClosed {
		// Close has not seen its process.
		command.Kill()
	}
	return command, nil
}

// add reserves the id; the command becomes visible when it has a process.
func (r *Registry) add(command *Command) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.isClosed {
		return errors.New("the agent is shutting down")
	}
	if _, isTaken := r.commands[command.ID]; isTaken {
		return ErrTaken
	}
	if command.Owned {
		for len(r.owned) >= OwnedMax || r.reserved()+command.ring.capacity > r.budget {
			if !r.evict() {
				return ErrExhausted
			}
		}
		r.owned = append(r.owned, command)
	}
	r.commands[command.ID] = command
	return nil
}

func (r *Registry) reserved() int {
	sum := 0
	for _, command := range r.owned {
		sum += command.ring.capacity
	}
	return sum
}

// evict forgets the oldest dispensable command; false when there is none.
func (r *Registry) evict() bool {
	now := time.Now()
	for _, command := range r.owned {
		if command.process != nil && command.isDispensable(now) {
			r.removeLocked(command)
			return true
		}
	}
	return false
}

func (r *Registry) remove(command *Command) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removeLocked(command)
}

func (r *Registry) removeLocked(command *Command) {
	if r.commands[command.ID] == command {
		delete(r.commands, command.ID)
	}
	for i, owned := range r.owned {
		if owned == command {
			r.owned = append(r.owned[:i], r.owned[i+1:]...)
			return
		}
	}
}

// Find is the command with this id, or nil.
func (r *Registry) Find(id string) *Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	if command := r.commands[id]; command != nil && command.process != nil {
		return command
	}
	return nil
}

// Owned lists the owned commands, oldest first.
func (r *Registry) Owned() []*Command {
	r.mu.Lock()
	defer r.mu.Unlock()
	var started []*Command
	for _, command := range r.owned {
		if command.process != nil {
			started = append(started, command)
		}
	}
	return started
}

// Release forgets a command without ending it: it goes on by itself.
func (r *Registry) Release(command *Command) { r.remove(command) }

// Drop kills a command and everything it started, if it still runs, and forgets it.
func (r *Registry) Drop(command *Command) {
	command.Kill()
	r.remove(command)
}

// Close ends all commands and waits for them. No command can be started afterwards.
func (r *Registry) Close() {
	r.mu.Lock()
	r.isClosed = true
	var left []*Command
	for _, command := range r.commands {
		if command.process != nil {
			left = append(left, command)
		}
	}
	r.mu.Unlock()
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	for _, command := range left {
		command.Kill()
	}
	for _, command := range left {
		select {
		case <-command.ended:
		case <-timer.C:
			return
		}
	}
}

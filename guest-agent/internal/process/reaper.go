package process

import (
	"os"
	"os/signal"
	"sync"
	"syscall"

	"guest-agent/internal/guard"
)

// Reaper is the only waiter for children. It pauses reaping while a process is started or signalled, so that
// no exit status is lost and no signal reaches a reused pid.
type Reaper struct {
	// adopts means that this process is the parent of orphans, for which nobody else waits.
	adopts bool
	log    guard.Log

	mu       sync.Mutex
	children map[int]*Process
	stop     chan struct{}
	stopped  chan struct{}
}

// NewReaper reaps until Close. With adopts it reaps every child of this process, else only registered ones.
func NewReaper(adopts bool, log guard.Log) *Reaper {
	r := &Reaper{adopts: adopts, log: log, children: map[int]*Process{}, stop: make(chan struct{}), stopped: make(chan struct{})}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	guard.Go("reap", log, func() { r.run(ended) })
	return r
}

// Close stops reaping.
func (r *Reaper) Close() {
	close(r.stop)
	<-r.stopped
}

func (r *Reaper) run(ended chan os.Signal) {
	defer close(r.stopped)
	defer signal.Stop(ended)
	for {
		select {
		case <-ended:
			guard.Try("reap", r.log, r.reap)
		case <-r.stop:
			return
		}
	}
}

func (r *Reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.adopts {
		for pid := range r.children {
			r.reapOne(pid)
		}
		return
	}
	for r.reapOne(-1) {
	}
}

// reapOne waits for pid without blocking; -1 means any child. It reports whether one was reaped.
func (r *Reaper) reapOne(pid int) bool {
	var status syscall.WaitStatus
	for {
		ended, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || ended <= 0 {
			return false
		}
		if process, ok := r.children[ended]; ok {
			delete(r.children, ended)
			process.status = status
			close(process.done)
		}
		return true
	}
}

// start runs fork, which returns the new process's pid, and registers it.
func (r *Reaper) start(process *Process, fork func() (int, error)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err != nil {
		return err
	}
	process.Pid = pid
	r.children[pid] = process
	return nil
}

// whileAlive runs act unless pid has been reaped, and prevents reaping meanwhile.
func (r *Reaper) whileAlive(pid int, act func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.children[pid]; !ok {
		return false
	}
	act()
	return true
}

package process

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// Without cgroups, each process is started in its own cgroup namespace (CLONE_NEWCGROUP). All share the root
// cgroup, so nothing looks different inside. But every descendant inherits the namespace, even through setsid
// and double forks, and /proc shows it: a mark that a program does not lose by accident.
const markFlags = 0x02000000

// Passes over /proc until no new member appears. A stopped process cannot fork, so a few suffice.
const freezePassesMax = 32

func isMarkRefusal(err error) bool {
	return err == syscall.EPERM || err == syscall.EINVAL || err == syscall.ENOSPC
}

// KillTree kills the process and everything it started: by its cgroup if it has one, else by searching for
// them.
func (p *Process) KillTree() {
	if p.cgroup == nil {
		p.sweep()
		return
	}
	isKilled := false
	// Processes left behind by a process that exited by itself no longer belong to its tree.
	isAlive := p.reaper.whileAlive(p.Pid, func() {
		isKilled = p.cgroup.kill()
		// A member may have left the cgroup but not the process group.
		_ = syscall.Kill(-p.Pid, syscall.SIGKILL)
	})
	if isAlive && !isKilled {
		p.sweep()
	}
}

// sweep kills the process's group, its session, its descendants and all that carry its mark. They are stopped
// first, so that none can fork between being found and being killed; the leader dies last, because the others
// are found by its pid.
func (p *Process) sweep() {
	mark := newMark(p.Pid)
	defer mark.close()
	alive := p.reaper.whileAlive(p.Pid, func() { _ = syscall.Kill(-p.Pid, syscall.SIGSTOP) })
	if !alive {
		return
	}
	known := map[int]bool{p.Pid: true}
	var frozen []handle
	for pass := 0; pass < freezePassesMax; pass++ {
		table := processTable()
		grown := false
		for pid := range membersOf(p.Pid, table, known, mark) {
			grown = true
			// Dead processes are recorded too, so that their pids are not examined again.
			known[pid] = true
			if held, ok := openHandle(pid, table[pid].start); ok {
				held.signal(syscall.SIGSTOP)
				frozen = append(frozen, held)
			}
		}
		if !grown {
			break
		}
	}
	for _, held := range frozen {
		held.signal(syscall.SIGKILL)
		held.close()
	}
	p.reaper.whileAlive(p.Pid, func() { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) })
}

// membersOf finds the tree's running processes that are not in known.
func membersOf(leader int, table map[int]tableEntry, known map[int]bool, mark *mark) map[int]bool {
	members := map[int]bool{}
	for {
		grown := false
		for pid, entry := range table {
			if known[pid] || members[pid] || entry.dead {
				continue
			}
			if entry.group == leader || entry.session == leader || known[entry.parent] || members[entry.parent] || mark.isOn(pid) {
				members[pid] = true
				grown = true
			}
		}
		if !grown {
			return members
		}
	}
}

type tableEntry struct {
	parent, group, session int
	// start is its start time in ticks since boot; pid and start time together identify a process.
	start uint64
	dead  bool
}

func processTable() map[int]tableEntry {
	table := map[int]tableEntry{}
	directory, err := os.Open("/proc")
	if err != nil {
		return table
	}
	defer directory.Close()
	names, _ := directory.Readdirnames(-1)
	own := os.Getpid()
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == own {
			continue
		}
		if entry, ok := readStat(pid); ok {
			table[pid] = entry
		}
	}
	return table
}

func readStat(pid int) (tableEntry, bool) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return tableEntry{}, false
	}
	return parseStat(stat)
}

// Fields of /proc/PID/stat behind the name: state, parent, group, session, and the start time, which proc(5) numbers 22.
const (
	startField = 22 - 3
	fieldsMin  = startField + 1
)

// parseStat parses /proc/PID/stat; the name may contain anything.
func parseStat(stat []byte) (tableEntry, bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return tableEntry{}, false
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < fieldsMin {
		return tableEntry{}, false
	}
	var numbers [3]int
	for i := range numbers {
		number, err := strconv.Atoi(string(fields[i+1]))
		if err != nil {
			return tableEntry{}, false
		}
		numbers[i] = number
	}
	start, err := strconv.ParseUint(string(fields[startField]), 10, 64)
	if err != nil {
		return tableEntry{}, false
	}
	dead := fields[0][0] == 'Z' || fields[0][0] == 'X'
	return tableEntry{parent: numbers[0], group: numbers[1], session: numbers[2], start: start, dead: dead}, true
}

// mark is the namespace that a tree's processes share. While it is open, its number is not reused.
type mark struct {
	file *os.File
	link string
}

func newMark(pid int) *mark {
	name := markName(pid)
	link, err := os.Readlink(name)
	if err != nil {
		return &mark{}
	}
	if own, err := os.Readlink("/proc/self/ns/cgroup"); err != nil || own == link {
		return &mark{}
	}
	file, err := os.Open(name)
	if err != nil {
		return &mark{}
	}
	return &mark{file: file, link: link}
}

func (m *mark) isOn(pid int) bool {
	if m.file == nil {
		return false
	}
	link, err := os.Readlink(markName(pid))
	return err == nil && link == m.link
}

func (m *mark) close() {
	if m.file != nil {
		_ = m.file.Close()
	}
}

func markName(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/ns/cgroup" }

package userdata

import (
	"fmt"
	"strings"
	"time"
)

const (
	failuresShown   = 3
	messageBytesMax = 1000
)

// worker is one run at work.
type worker struct {
	*Guest
	doing    *Run
	log      *logFile
	until    time.Time
	failures []string
}

// carryOut does all parts, records the outcome and closes the run, also after a panic.
func (g *Guest) carryOut(run *Run, plan *Plan) {
	w := &worker{Guest: g, doing: run, log: openLog(g.path(logPath)), until: time.Now().Add(timeMax)}
	defer w.log.close()
	isComplete := false
	defer func() {
		if !isComplete {
			w.failures = append(w.failures, "the guest agent failed")
			g.finish(run, w)
		}
	}()
	w.say("begins")
	w.all(plan)
	isComplete = true
	if g.isStopped() && len(w.failures) > 0 {
		// The next boot records that it was interrupted.
		return
	}
	g.finish(run, w)
}

func (g *Guest) finish(run *Run, w *worker) {
	run.message = w.summary()
	outcome := record{State: stateSucceeded, Message: run.message}
	if run.message != "" {
		outcome.State = stateFailed
	}
	if err := g.note(run, outcome); err != nil {
		w.say("its outcome cannot be recorded: %v", err)
	}
	if run.message == "" {
		w.say("succeeded")
	} else {
		w.say("failed: %s", run.message)
	}
	close(run.done)
}

func (w *worker) all(plan *Plan) {
	w.users(plan)
	w.keys(plan)
	for i := range plan.WriteFiles {
		file := &plan.WriteFiles[i]
		w.part(fmt.Sprintf("write_files, %s", file.Path), func() error { return w.writeFile(file) })
	}
	if len(plan.Packages) > 0 {
		w.part("packages", func() error { return w.installPackages(plan.Packages) })
	}
	for i, argv := range plan.Commands {
		argv := argv
		what := fmt.Sprintf("runcmd %d of %d", i+1, len(plan.Commands))
		w.part(what, func() error { return w.run(argv, nil) })
	}
	for i, text := range plan.Scripts {
		name, text := fmt.Sprintf("script-%d", i+1), text
		what := fmt.Sprintf("script %d of %d", i+1, len(plan.Scripts))
		w.part(what, func() error { return w.runScript(name, text) })
	}
}

// part does one part, unless the guest shuts down or the time is over.
func (w *worker) part(what string, do func() error) {
	if w.isStopped() {
		w.failures = append(w.failures, what+": the guest is shutting down")
		return
	}
	if !time.Now().Before(w.until) {
		w.fail(what, fmt.Errorf("not begun: user data has taken over %s", timeMax))
		return
	}
	w.say("%s", what)
	if err := w.note(w.doing, record{State: stateRunning, Doing: clean(what)}); err != nil {
		w.fail(what, fmt.Errorf("not begun: it cannot be recorded: %w", err))
		return
	}
	if err := do(); err != nil {
		w.fail(what, err)
	}
}

func (w *worker) fail(what string, err error) {
	words := clean(fmt.Sprintf("%s: %v", what, err))
	w.failures = append(w.failures, words)
	w.say("failed: %s", words)
}

// say writes a line to the console and the log.
func (w *worker) say(format string, arguments ...interface{}) {
	line := clean(fmt.Sprintf(format, arguments...))
	w.options.Console("user data: %s", line)
	w.log.line(line)
}

// summary is empty when nothing has failed.
func (w *worker) summary() string {
	shown := w.failures
	if len(shown) > failuresShown {
		shown = shown[:failuresShown]
	}
	words := strings.Join(shown, "; ")
	if more := len(w.failures) - len(shown); more > 0 {
		words = fmt.Sprintf("%s; and %d more", words, more)
	}
	return words
}

// Limit of a line: the kernel's log takes about a kilobyte.
const lineBytesMax = messageBytesMax / (failuresShown + 1)

// clean makes text one line without control characters.
func clean(text string) string {
	words := strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), isControl), " ")
	if len(words) <= lineBytesMax {
		return words
	}
	return strings.ToValidUTF8(words[:lineBytesMax], "") + "…"
}

func isControl(c rune) bool { return c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x2028 || c == 0x2029 }

package calls

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"guest-agent/internal/commands"
	"guest-agent/internal/link"
	"guest-agent/internal/linktest"
)

func owned(id string, extra arguments) arguments {
	return with(arguments{"command": id, "owned": true, "timeout_ms": 0}, extra)
}

// startOwned starts a command that outlives the call, and waits only for the answer.
func (g *guest) startOwned(t *testing.T, id string, extra arguments) {
	t.Helper()
	stream := g.exec(t, owned(id, extra))
	_ = stream.Close()
}

func (g *guest) attach(t *testing.T, id string, offset int64) *linktest.Stream {
	t.Helper()
	stream := g.host.Open(linktest.Line(t, "attach", arguments{"command": id, "offset": offset}))
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatalf("attach %s: %v", id, answer)
	}
	return stream
}

// again is the same guest for a new host, after the previous one disappeared silently.
func (g *guest) again(t *testing.T, nonce byte) {
	t.Helper()
	g.host = linktest.NewHost(t, g.host.Abandon(), nonce)
}

func TestOwnedCommandsOutliveTheirHostAndLoseNoByte(t *testing.T) {
	guest := newGuest(t)
	gates := []*fifo{newFifo(t), newFifo(t), newFifo(t)}
	script := func(i int) arguments {
		return shell(fmt.Sprintf("head -c 300000 /dev/zero | tr '\\0' %d; cat %s; echo end%d >&2; exit %d", i, gates[i-1].path, i, i))
	}
	for i := 1; i <= 3; i++ {
		guest.startOwned(t, fmt.Sprint("c", i), script(i))
	}
	// The first host reads some of it, acknowledges less, and disappears.
	stream := guest.attach(t, "c1", 0)
	for i := 0; i < 2; i++ {
		if _, _, err := link.ReadFrame(stream.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stream.Write(link.OffsetFrame(link.FrameTaken, 100)); err != nil {
		t.Fatal(err)
	}
	guest.again(t, 2)
	for i := 1; i <= 3; i++ {
		guest.attachAndFinish(t, i, gates[i-1])
	}
}

func (g *guest) attachAndFinish(t *testing.T, i int, gate *fifo) {
	t.Helper()
	from := int64(0)
	if i == 1 {
		from = 100
	}
	stream := g.attach(t, fmt.Sprint("c", i), from)
	gate.release(t)
	result := stream.Finish()
	isOutcome(t, result, fmt.Sprint("exited ", i))
	if want := bytes.Repeat([]byte{byte('0' + i)}, 300000-int(from)); !bytes.Equal(result.Stdout, want) || result.Lost != 0 {
		t.Errorf("command %d: %d bytes and %d lost, want %d", i, len(result.Stdout), result.Lost, len(want))
	}
	if want := fmt.Sprintf("end%d\n", i); string(result.Stderr) != want {
		t.Errorf("stderr %q, want %q", result.Stderr, want)
	}
}

func TestBytesBeyondTheRingAreReportedAsLost(t *testing.T) {
	guest := newGuest(t)
	const size = 1 << 20
	extra := shell(fmt.Sprintf("head -c %d /dev/zero", size))
	extra["buffer_bytes"] = commands.RingBytesMin
	guest.startOwned(t, "c", extra)
	guest.awaitEnd(t, "c")
	result := guest.attach(t, "c", 0).Finish()
	isOutcome(t, result, "exited 0")
	if result.Lost == 0 || result.Lost+int64(len(result.Stdout)) != size || len(result.Stdout) > commands.RingBytesMin {
		t.Errorf("%d bytes came and %d are said to be lost of %d", len(result.Stdout), result.Lost, size)
	}
}

// awaitEnd polls the list until the command has ended.
func (g *guest) awaitEnd(t *testing.T, id string) map[string]interface{} {
	t.Helper()
	for deadline := time.Now().Add(linktest.Wait); time.Now().Before(deadline); {
		if entry := g.listed(t, id); entry != nil && entry["outcome"] != nil {
			return entry
		}
	}
	t.Fatalf("%s does not end", id)
	return nil
}

func (g *guest) listed(t *testing.T, id string) map[string]interface{} {
	t.Helper()
	answer := g.host.Call("list", nil)
	all, _ := answer["commands"].([]interface{})
	for _, one := range all {
		if entry, _ := one.(map[string]interface{}); entry["command"] == id {
			return entry
		}
	}
	return nil
}

func TestAnIdleAttachedHostBlocksTheCommandUntilItLeaves(t *testing.T) {
	guest := newGuest(t)
	extra := with(shell("read go; head -c 2000000 /dev/zero"), arguments{"has_stdin": true, "buffer_bytes": commands.RingBytesMin})
	guest.startOwned(t, "c", extra)
	stream := guest.attach(t, "c", 0)
	guest.feed(t, "c", "go\n")
	var got int64
	for got < int64(commands.RingBytesMin)/2 {
		_, payload, err := link.ReadFrame(stream.Reader)
		if err != nil {
			t.Fatal(err)
		}
		got += int64(len(payload))
	}
	if entry := guest.listed(t, "c"); entry["first_offset"] != float64(0) || entry["outcome"] != nil {
		t.Errorf("%v: bytes that nobody has taken are gone", entry)
	}
	_ = stream.Close()
	if entry := guest.awaitEnd(t, "c"); entry["next_offset"] != float64(2000000) {
		t.Errorf("ended as %v", entry)
	}
}

func (g *guest) feed(t *testing.T, id, text string) {
	t.Helper()
	stream := g.host.Open(linktest.Line(t, "stdin", arguments{"command": id}))
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatalf("stdin: %v", answer)
	}
	stream.Send(link.FrameStdin, []byte(text))
	_ = stream.Close()
	// The guest ends its side when it has read ours; the next call may be served before that.
	if _, err := io.Copy(io.Discard, stream.Reader); err != nil {
		t.Fatal(err)
	}
}

func TestStandardInputContinuesWithTheNextHost(t *testing.T) {
	guest := newGuest(t)
	guest.startOwned(t, "c", arguments{"argv": []string{"cat"}, "has_stdin": true})
	guest.feed(t, "c", "one ")
	stream := guest.attach(t, "c", 0)
	if _, payload, err := link.ReadFrame(stream.Reader); err != nil || string(payload) != "one " {
		t.Fatalf("%q, %v", payload, err)
	}
	guest.again(t, 2)
	answer := guest.host.Open(linktest.Line(t, "attach", arguments{"command": "c", "offset": 4})).Answer()
	if answer["stdin_offset"] != float64(4) {
		t.Errorf("attach: %v, want the four bytes that were fed", answer)
	}
	guest.feed(t, "c", "two")
	guest.feed(t, "c", "")
	result := guest.attach(t, "c", 4).Finish()
	isOutcome(t, result, "exited 0")
	if string(result.Stdout) != "two" {
		t.Errorf("stdout %q", result.Stdout)
	}
	if answer := guest.host.Call("stdin", arguments{"command": "c"}); answer["code"] != "conflict" {
		t.Errorf("stdin after its end: %v", answer)
	}
}

func TestForgetEndsTheWholeTree(t *testing.T) {
	guest := newGuest(t)
	fifo := newFifo(t)
	guest.startOwned(t, "c", with(shell(stubborn), arguments{"env": arguments{"FIFO": fifo.path}}))
	reader := fifo.reader(t)
	awaitStubborn(t, reader)
	if answer := guest.host.Call("forget", arguments{"command": "c"}); answer["ok"] != true {
		t.Fatalf("forget: %v", answer)
	}
	allGone(t, reader)
	for _, call := range []string{"forget", "attach", "stdin"} {
		if answer := guest.host.Call(call, arguments{"command": "c"}); answer["code"] != "not_found" {
			t.Errorf("%s: %v", call, answer)
		}
	}
}

func TestATimeLimitEndsAnOwnedCommand(t *testing.T) {
	guest := newGuest(t)
	guest.startOwned(t, "c", arguments{"argv": []string{"sleep", "1000"}, "timeout_ms": 50})
	if entry := guest.awaitEnd(t, "c"); fmt.Sprint(entry["outcome"]) != "map[outcome:timed_out]" {
		t.Errorf("%v", entry)
	}
	isOutcome(t, guest.attach(t, "c", 0).Finish(), "timed_out")
}

func TestCommandsAreBounded(t *testing.T) {
	guest := newGuest(t)
	small := arguments{"argv": []string{"sleep", "1000"}, "buffer_bytes": commands.RingBytesMin}
	refusal := map[string]interface{}{}
	started := 0
	for refusal["code"] == nil && started < 2*commands.OwnedMax {
		stream := guest.host.Start(owned(fmt.Sprint("c", started), small))
		if answer := stream.Answer(); answer["ok"] == true {
			started++
		} else {
			refusal = answer
		}
		_ = stream.Close()
	}
	if started > commands.OwnedMax || refusal["code"] != "exhausted" {
		t.Fatalf("%d commands, then %v", started, refusal)
	}
	if answer := guest.host.Start(owned("c0", small)).Answer(); answer["code"] != "conflict" {
		t.Errorf("an id twice: %v", answer)
	}
	// The oldest ended command makes room.
	guest.host.Call("signal", arguments{"command": "c1", "signal": "TERM"})
	if entry := guest.awaitEnd(t, "c1"); !strings.Contains(fmt.Sprint(entry["outcome"]), "TERM") {
		t.Errorf("%v", entry)
	}
	guest.startOwned(t, "new", small)
	if guest.listed(t, "c1") != nil || guest.listed(t, "c0") == nil || guest.listed(t, "new") == nil {
		t.Error("not the ended command made room")
	}
}

func TestAnOwnedCommandThatCannotBeRunIsRefused(t *testing.T) {
	guest := newGuest(t)
	answer := guest.host.Start(owned("c", arguments{"argv": []string{"no-such-program"}})).Answer()
	if answer["code"] != "invalid" || answer["exit_code"] != float64(127) {
		t.Errorf("%v", answer)
	}
	if answer := guest.host.Call("list", nil); len(answer["commands"].([]interface{})) != 0 {
		t.Errorf("%v is kept", answer)
	}
}

func TestATerminal(t *testing.T) {
	guest := newGuest(t)
	size := arguments{"rows": 24, "columns": 80}
	guest.startOwned(t, "c", with(shell("tty -s && stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.05; done"),
		arguments{"terminal": size, "env": arguments{"TERM": "dumb"}}))
	stream := guest.attach(t, "c", 0)
	var seen []byte
	for !bytes.Contains(seen, []byte("ready")) {
		_, payload, err := link.ReadFrame(stream.Reader)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, payload...)
	}
	answer := guest.host.Call("resize", arguments{"command": "c", "rows": 50, "columns": 132})
	if answer["ok"] != true {
		t.Fatalf("resize: %v", answer)
	}
	result := stream.Finish()
	isOutcome(t, result, "exited 3")
	if all := string(seen) + string(result.Stdout); all != "24 80\r\nready\r\n50 132\r\n" {
		t.Errorf("the terminal showed %q", all)
	}
	guest.startOwned(t, "plain", arguments{"argv": []string{"sleep", "1000"}})
	if answer := guest.host.Call("resize", arguments{"command": "plain", "rows": 1, "columns": 1}); answer["code"] != "conflict" {
		t.Errorf("resize without a terminal: %v", answer)
	}
}

func TestTheEndOfATerminalIsNotCutOff(t *testing.T) {
	guest := newGuest(t)
	for i := 0; i < 20; i++ {
		id := fmt.Sprint("c", i)
		guest.startOwned(t, id, with(shell("i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo $i; done; printf last"),
			arguments{"terminal": arguments{"rows": 24, "columns": 80}}))
		result := guest.attach(t, id, 0).Finish()
		isOutcome(t, result, "exited 0")
		if !bytes.HasSuffix(result.Stdout, []byte("50\r\nlast")) {
			t.Fatalf("the terminal ended with %q", result.Stdout)
		}
	}
}

func TestAListDescribesCommands(t *testing.T) {
	guest := newGuest(t)
	before := float64(time.Now().UnixNano()/1e6) - 1
	guest.startOwned(t, "c", shell("printf four; printf six666 >&2; exit 3"))
	entry := guest.awaitEnd(t, "c")
	started, _ := entry["started_ms"].(float64)
	ended, _ := entry["ended_ms"].(float64)
	if started < before || ended < started {
		t.Errorf("started at %v, ended at %v", entry["started_ms"], entry["ended_ms"])
	}
	if entry["stdout_bytes"] != float64(4) || entry["stderr_bytes"] != float64(6) || entry["terminal"] != false {
		t.Errorf("%v", entry)
	}
	if words := fmt.Sprint(entry["words"]); !strings.HasPrefix(words, "[/bin/sh -c printf") || entry["argc"] != float64(3) {
		t.Errorf("%v arguments: %s", entry["argc"], words)
	}
	guest.startOwned(t, "running", arguments{"argv": []string{"sleep", "1000"}})
	if entry := guest.listed(t, "running"); entry["ended_ms"] != nil || entry["outcome"] != nil {
		t.Errorf("%v", entry)
	}
}

// Of many commands that end at once, each is asked about a moment after its start: none may be gone by then.
func TestACommandThatNobodyHasAskedAboutKeepsItsPlace(t *testing.T) {
	guest := newGuest(t)
	quick := arguments{"argv": []string{"sh", "-c", "echo out; exit 3"}, "buffer_bytes": commands.RingBytesMin}
	refusal := map[string]interface{}{}
	started := 0
	for refusal["code"] == nil && started < 2*commands.OwnedMax {
		stream := guest.host.Start(owned(fmt.Sprint("c", started), quick))
		if answer := stream.Answer(); answer["ok"] == true {
			started++
		} else {
			refusal = answer
		}
		_ = stream.Close()
	}
	if started > commands.OwnedMax || refusal["code"] != "exhausted" {
		t.Fatalf("%d commands, then %v", started, refusal)
	}
	for i := 0; i < started; i++ {
		isOutcome(t, guest.attach(t, fmt.Sprint("c", i), 0).Finish(), "exited 3")
	}
	guest.startOwned(t, "new", quick)
	if guest.listed(t, "c0") != nil {
		t.Error("the oldest command that was asked about did not make room")
	}
}

func TestAListOfTheLongestCommandsFitsIntoALine(t *testing.T) {
	guest := newGuest(t)
	long := []string{"/bin/sleep", "1000"}
	for i := 0; i < 100; i++ {
		long = append(long, strings.Repeat("\x01", 7))
	}
	for i := 0; i < commands.OwnedMax; i++ {
		stream := guest.host.Start(owned(fmt.Sprint(strings.Repeat("i", 60), i), arguments{"argv": long, "buffer_bytes": commands.RingBytesMin}))
		if answer := stream.Answer(); answer["code"] == "exhausted" {
			break
		}
		_ = stream.Close()
	}
	listed, _ := guest.host.Call("list", nil)["commands"].([]interface{})
	if len(listed) == 0 {
		t.Fatal("no list")
	}
	entry, _ := listed[0].(map[string]interface{})
	words, _ := entry["words"].([]interface{})
	if len(words) < 3 || len(words) > 10 || entry["argc"] != float64(len(long)) {
		t.Errorf("%d words of %v", len(words), entry["argc"])
	}
}

func TestAttachTellsWhereTheOutputBegins(t *testing.T) {
	guest := newGuest(t)
	guest.startOwned(t, "c", shell("printf four; printf six666 >&2"))
	guest.awaitEnd(t, "c")
	answer := guest.host.Open(linktest.Line(t, "attach", arguments{"command": "c", "offset": 6})).Answer()
	stdout, _ := answer["stdout_offset"].(float64)
	stderr, _ := answer["stderr_offset"].(float64)
	if answer["first_offset"] != float64(0) || answer["next_offset"] != float64(10) || stdout+stderr != 6 {
		t.Errorf("%v", answer)
	}
}

func TestWaitTellsTheOutcomeAndNothingElse(t *testing.T) {
	guest := newGuest(t)
	gate := newFifo(t)
	guest.startOwned(t, "c", shell(fmt.Sprintf("echo out; cat %s; exit 7", gate.path)))
	stream := guest.host.Open(linktest.Line(t, "wait", arguments{"command": "c"}))
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatalf("wait: %v", answer)
	}
	gate.release(t)
	result := stream.Finish()
	isOutcome(t, result, "exited 7")
	if len(result.Stdout) != 0 {
		t.Errorf("stdout %q", result.Stdout)
	}
	isOutcome(t, guest.attach(t, "c", 0).Finish(), "exited 7")
	if answer := guest.host.Call("wait", arguments{"command": "none"}); answer["code"] != "not_found" {
		t.Errorf("wait for none: %v", answer)
	}
}

func TestASignalToAnEndedCommandIsRefused(t *testing.T) {
	guest := newGuest(t)
	guest.startOwned(t, "c", arguments{"argv": []string{"true"}})
	guest.awaitEnd(t, "c")
	if answer := guest.host.Call("signal", arguments{"command": "c", "signal": "TERM"}); answer["code"] != "conflict" {
		t.Errorf("%v", answer)
	}
}

func TestHeldOutputIsKeptForItsFirstReader(t *testing.T) {
	guest := newGuest(t)
	extra := with(shell("head -c 2000000 /dev/zero"), arguments{"held": true, "buffer_bytes": commands.RingBytesMin})
	guest.startOwned(t, "c", extra)
	// The command fills its buffer and waits, as often as one looks.
	looks := 0
	for deadline := time.Now().Add(linktest.Wait); looks < 100; {
		entry := guest.listed(t, "c")
		if entry["first_offset"] != float64(0) || entry["outcome"] != nil {
			t.Fatalf("%v: bytes that were held are gone", entry)
		}
		if entry["next_offset"].(float64) > commands.RingBytesMin/4 {
			looks++
		} else if time.Now().After(deadline) {
			t.Fatal("nothing is written")
		}
	}
	stream := guest.attach(t, "c", 0)
	if _, payload, err := link.ReadFrame(stream.Reader); err != nil || len(payload) == 0 {
		t.Fatalf("%d bytes, %v", len(payload), err)
	}
	// It holds the output from here on, and nobody when it has left.
	_ = stream.Close()
	if entry := guest.awaitEnd(t, "c"); entry["next_offset"] != float64(2000000) {
		t.Errorf("ended as %v", entry)
	}
}

func TestInputThatWaitsIsCounted(t *testing.T) {
	guest := newGuest(t)
	// Nothing is read, so that the pipe (64 KiB) and what the agent holds fill up, and the last piece waits.
	guest.startOwned(t, "c", with(shell("exec sleep 1000"), arguments{"has_stdin": true}))
	stream := guest.host.Open(linktest.Line(t, "stdin", arguments{"command": "c"}))
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatalf("stdin: %v", answer)
	}
	piece := make([]byte, 4<<10)
	const pieces = 16 + 1 + 16 + 1
	for i := 0; i < pieces; i++ {
		stream.Send(link.FrameStdin, piece)
	}
	want := float64(pieces * len(piece))
	for deadline := time.Now().Add(linktest.Wait); ; {
		answer := guest.host.Open(linktest.Line(t, "attach", arguments{"command": "c", "offset": 0})).Answer()
		if answer["stdin_offset"] == want {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("stdin_offset %v, want %v", answer["stdin_offset"], want)
		}
	}
	guest.host.Call("forget", arguments{"command": "c"})
}

package calls

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"

	"guest-agent/internal/files"
	"guest-agent/internal/link"
)

const entriesOfOneListMax = 10_000

// refuse answers a call with an error of the files package.
func refuse(call *link.Call, err error) {
	code, message := refusal(err)
	call.Fail(code, message)
}

func refusal(err error) (link.Code, string) {
	var known *files.Error
	if !errors.As(err, &known) {
		return link.CodeInternal, err.Error()
	}
	return link.Code(known.Kind), known.Message
}

// end sends the last frame of a call: whether all of it was done, and the results.
func end(call *link.Call, err error, results map[string]interface{}) {
	last := map[string]interface{}{"ok": true}
	if err != nil {
		code, message := refusal(err)
		last = map[string]interface{}{"ok": false, "code": code, "message": message}
	} else {
		for name, value := range results {
			last[name] = value
		}
	}
	if payload, err := json.Marshal(last); err == nil && len(payload) <= link.FramePayloadBytesMax {
		_, _ = call.Write(link.Frame(link.FrameEnd, payload))
	}
}

// download is a writer of data frames; what is written is sent in frames as large as the carrier likes best.
type download struct {
	call  *link.Call
	frame []byte
}

// newDownload answers the call, and lets writes fail once the host has left. Call stop at the end.
func (a *Agent) newDownload(call *link.Call, results map[string]interface{}) (d *bufio.Writer, stop func(), err error) {
	if err := call.Succeed(results); err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	onEnded(call, done, a.log, func() {})
	to := &download{call: call, frame: make([]byte, link.FrameHeaderBytes+outputBytesMax)}
	return bufio.NewWriterSize(to, outputBytesMax), func() { close(done) }, nil
}

func (d *download) Write(p []byte) (int, error) {
	sent := 0
	for sent < len(p) {
		n := copy(d.frame[link.FrameHeaderBytes:], p[sent:])
		whole := d.frame[:link.FrameHeaderBytes+n]
		link.PutFrameHeader(whole, link.FrameData)
		if _, err := d.call.Write(whole); err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// upload reads the host's data frames. Its end is io.EOF only if the host said that it had sent everything.
type upload struct {
	call *link.Call
	rest []byte
	over bool
}

func (u *upload) Read(p []byte) (int, error) {
	for len(u.rest) == 0 {
		if u.over {
			return 0, io.EOF
		}
		kind, payload, err := link.ReadFrame(u.call)
		switch {
		case err == io.EOF:
			return 0, io.ErrUnexpectedEOF
		case err != nil:
			return 0, err
		case kind == link.FrameUploadEnd:
			u.over = true
		case kind == link.FrameUpload:
			u.rest = payload
		default:
			return 0, &files.Error{Kind: files.Invalid, Message: "an unexpected frame in an upload"}
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

func (a *Agent) fileStat(call *link.Call) {
	var arguments struct {
		Path   string `json:"path"`
		Follow bool   `json:"follow"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	entry, err := files.Stat(arguments.Path, arguments.Follow)
	succeedWith(call, entry, err)
}

func succeedWith(call *link.Call, entry *files.Entry, err error) {
	if err != nil {
		refuse(call, err)
		return
	}
	_ = call.Succeed(map[string]interface{}{"entry": entry})
}

func (a *Agent) fileRead(call *link.Call) {
	arguments := struct {
		Path   string `json:"path"`
		Offset int64  `json:"offset"`
		Length int64  `json:"length"`
	}{Length: -1}
	if !call.Arguments(&arguments) {
		return
	}
	reading, err := files.Open(arguments.Path, arguments.Offset, arguments.Length)
	if err != nil {
		refuse(call, err)
		return
	}
	defer reading.Close()
	out, stop, err := a.newDownload(call, map[string]interface{}{"entry": reading.Entry, "length": reading.Length})
	if err != nil {
		return
	}
	defer stop()
	_, err = io.Copy(onlyWriter{out}, reading)
	finish(call, out, err, nil)
}

// onlyWriter hides that a bufio.Writer can read by itself, which would read in other pieces.
type onlyWriter struct{ io.Writer }

func finish(call *link.Call, out *bufio.Writer, err error, results map[string]interface{}) {
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	end(call, err, results)
}

func (a *Agent) fileWrite(call *link.Call) {
	var arguments struct {
		Path    string `json:"path"`
		Parents bool   `json:"parents"`
		files.Attributes
	}
	if !call.Arguments(&arguments) {
		return
	}
	writing, err := files.Create(arguments.Path, arguments.Attributes, arguments.Parents)
	if err != nil {
		refuse(call, err)
		return
	}
	defer writing.Abort()
	if call.Succeed(nil) != nil {
		return
	}
	if _, err := io.Copy(writing, &upload{call: call}); err != nil {
		// Before the answer: whoever has it sees the directory as it was.
		writing.Abort()
		end(call, err, nil)
		return
	}
	entry, err := writing.Commit()
	end(call, err, map[string]interface{}{"entry": entry})
}

func (a *Agent) fileList(call *link.Call) {
	var arguments struct {
		Path  string `json:"path"`
		After string `json:"after"`
		Limit int    `json:"limit"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	if arguments.Limit < 1 || arguments.Limit > entriesOfOneListMax {
		call.Fail(link.CodeInvalid, "limit must be between 1 and 10000")
		return
	}
	// What is no directory is refused before anything was sent.
	if _, err := files.List(arguments.Path, arguments.After, 0, nil); err != nil {
		refuse(call, err)
		return
	}
	out, stop, err := a.newDownload(call, nil)
	if err != nil {
		return
	}
	defer stop()
	lines := json.NewEncoder(out)
	more, err := files.List(arguments.Path, arguments.After, arguments.Limit, func(entry *files.Entry) error {
		return lines.Encode(entry)
	})
	finish(call, out, err, map[string]interface{}{"has_more": more})
}

func (a *Agent) fileMkdir(call *link.Call) {
	var arguments struct {
		Path    string `json:"path"`
		Parents bool   `json:"parents"`
		files.Attributes
	}
	if !call.Arguments(&arguments) {
		return
	}
	entry, err := files.Mkdir(arguments.Path, arguments.Parents, arguments.Attributes)
	succeedWith(call, entry, err)
}

func (a *Agent) fileMove(call *link.Call) {
	var arguments struct {
		From    string `json:"from"`
		To      string `json:"to"`
		Replace bool   `json:"replace"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	entry, err := files.Move(arguments.From, arguments.To, arguments.Replace)
	succeedWith(call, entry, err)
}

func (a *Agent) fileRemove(call *link.Call) {
	var arguments struct {
		Path      string `json:"path"`
		Recursive bool   `json:"recursive"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	if err := files.Remove(arguments.Path, arguments.Recursive); err != nil {
		refuse(call, err)
		return
	}
	_ = call.Succeed(nil)
}

func (a *Agent) filePack(call *link.Call) {
	var arguments struct {
		Path string `json:"path"`
		Name string `json:"name"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	entry, err := files.Stat(arguments.Path, false)
	if err != nil {
		refuse(call, err)
		return
	}
	out, stop, err := a.newDownload(call, map[string]interface{}{"entry": entry})
	if err != nil {
		return
	}
	defer stop()
	finish(call, out, files.Pack(arguments.Path, arguments.Name, out), nil)
}

func (a *Agent) fileUnpack(call *link.Call) {
	var arguments struct {
		Path    string `json:"path"`
		Owner   string `json:"owner"`
		Parents bool   `json:"parents"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	if call.Succeed(nil) != nil {
		return
	}
	from := &upload{call: call}
	options := files.UnpackOptions{Owner: arguments.Owner, Parents: arguments.Parents, Log: a.log}
	count, err := files.Unpack(arguments.Path, from, options)
	if err == nil {
		// What follows the archive's own end is padding, but the host must have sent all of it.
		_, err = io.Copy(io.Discard, from)
	}
	end(call, err, map[string]interface{}{"count": count})
}

func (a *Agent) fileWatch(call *link.Call) {
	var arguments struct {
		Path      string `json:"path"`
		Recursive bool   `json:"recursive"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	watching, err := files.Watch(arguments.Path, arguments.Recursive)
	if err != nil {
		refuse(call, err)
		return
	}
	defer watching.Close()
	if call.Succeed(nil) != nil {
		return
	}
	done := make(chan struct{})
	defer close(done)
	onEnded(call, done, a.log, watching.Close)
	out := bufio.NewWriterSize(&download{call: call, frame: make([]byte, link.FrameHeaderBytes+outputBytesMax)}, outputBytesMax)
	lines := json.NewEncoder(out)
	for {
		changes, err := watching.Next()
		if err != nil || changes == nil {
			finish(call, out, err, nil)
			return
		}
		for _, change := range changes {
			if lines.Encode(change) != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
	}
}

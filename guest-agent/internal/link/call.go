package link

import (
	"encoding/json"
	"io"
	"time"

	"github.com/hashicorp/yamux"
)

// Code is the reason for refusing a call.
type Code string

// The codes of the protocol.
const (
	CodeInvalid     Code = "invalid"
	CodeUnsupported Code = "unsupported"
	CodeInternal    Code = "internal"
	CodeNotFound    Code = "not_found"
	CodeConflict    Code = "conflict"
	CodeExhausted   Code = "exhausted"
)

const messageBytesMax = 4096

// Call is one stream: a line in each direction, then the call's own framing.
type Call struct {
	// Name is the name of the call.
	Name string

	stream   *yamux.Stream
	ended    <-chan struct{}
	lines    *lineReader
	request  []byte
	answered bool
}

// Arguments decodes the request line into target, a pointer to a struct. If that fails, it refuses the call
// and returns false.
func (c *Call) Arguments(target interface{}) bool {
	if err := json.Unmarshal(c.request, target); err != nil {
		c.Fail(CodeInvalid, "the call's arguments do not parse: "+err.Error())
		return false
	}
	return true
}

// Succeed answers with the fields of results, which encodes to a JSON object; nil means none.
func (c *Call) Succeed(results map[string]interface{}) error {
	answer := map[string]interface{}{"ok": true}
	for name, value := range results {
		answer[name] = value
	}
	return c.answer(answer)
}

// Fail refuses the call; after an answer it has no effect.
func (c *Call) Fail(code Code, message string) { c.FailWith(code, message, nil) }

// FailWith refuses the call with further fields.
func (c *Call) FailWith(code Code, message string, details map[string]interface{}) {
	if len(message) > messageBytesMax {
		message = message[:messageBytesMax]
	}
	answer := map[string]interface{}{"ok": false, "code": code, "message": message}
	for name, value := range details {
		answer[name] = value
	}
	_ = c.answer(answer)
}

func (c *Call) answer(fields map[string]interface{}) error {
	if c.answered {
		return nil
	}
	c.answered = true
	line, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	_, err = c.stream.Write(append(line, '\n'))
	return err
}

// Ended closes when the host has ended or reset the stream, even if data before the end is unread, or when
// the session is over.
func (c *Call) Ended() <-chan struct{} { return c.ended }

// Read reads what follows the request line.
func (c *Call) Read(p []byte) (int, error) { return c.lines.Read(p) }

// Write sends what follows the answer line; it blocks while the host does not read. Safe for concurrent use.
func (c *Call) Write(p []byte) (int, error) { return c.stream.Write(p) }

// Close ends the guest's side of the stream and fails blocked writes. Idempotent.
func (c *Call) Close() error { return c.stream.Close() }

// SetReadDeadline sets the deadline for reading what follows the request line.
func (c *Call) SetReadDeadline(deadline time.Time) { _ = c.stream.SetReadDeadline(deadline) }

func (c *Call) stopReading() { _ = c.stream.SetReadDeadline(time.Unix(1, 0)) }

// readRequest reads the request line; if it is invalid, it refuses the call and returns false.
func (c *Call) readRequest() bool {
	_ = c.stream.SetReadDeadline(time.Now().Add(lineWait))
	line, err := c.lines.line()
	_ = c.stream.SetReadDeadline(time.Time{})
	if err == errLineTooLong {
		c.Fail(CodeInvalid, err.Error())
		return false
	}
	if err != nil {
		if err != io.EOF {
			c.Fail(CodeInvalid, "no call line: "+err.Error())
		}
		return false
	}
	var head struct {
		Call string `json:"call"`
	}
	if err := json.Unmarshal(line, &head); err != nil || head.Call == "" {
		c.Fail(CodeInvalid, "the call line must be a JSON object with a call name")
		return false
	}
	c.Name, c.request = head.Call, line
	return true
}

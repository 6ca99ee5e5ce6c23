package link

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
)

// FrameType names what a frame carries.
type FrameType byte

// The frames that follow the answer of a call about a command.
const (
	FrameStdout  FrameType = 1
	FrameStderr  FrameType = 2
	FrameOutcome FrameType = 3
	FrameLost    FrameType = 4
	FrameStdin   FrameType = 16
	FrameTaken   FrameType = 18
	FrameLetGo   FrameType = 21
)

// The frames of calls about files.
const (
	FrameData      FrameType = 5
	FrameEnd       FrameType = 6
	FrameUpload    FrameType = 19
	FrameUploadEnd FrameType = 20
)

const (
	// FramePayloadBytesMax is the largest payload of a frame.
	FramePayloadBytesMax = 65536
	// FrameHeaderBytes come before each payload: type and length.
	FrameHeaderBytes = 5
	numberBytes      = 8
)

// Outcome is the last frame of a command's output.
type Outcome struct {
	Outcome  string `json:"outcome"`
	ExitCode *int   `json:"exit_code,omitempty"`
	Signal   string `json:"signal,omitempty"`
}

// Exited is the outcome of a program that exited by itself.
func Exited(code int) Outcome { return Outcome{Outcome: "exited", ExitCode: &code} }

// Signalled is the outcome of a program that a signal ended; the name has no SIG prefix.
func Signalled(signal string) Outcome { return Outcome{Outcome: "signalled", Signal: signal} }

// TimedOut is the outcome of a program that was killed at its time limit.
func TimedOut() Outcome { return Outcome{Outcome: "timed_out"} }

// Running is the outcome of a program that goes on.
func Running() Outcome { return Outcome{Outcome: "running"} }

// PutFrameHeader fills the first FrameHeaderBytes of frame, whose remainder is the payload.
func PutFrameHeader(frame []byte, kind FrameType) {
	frame[0] = byte(kind)
	binary.BigEndian.PutUint32(frame[1:FrameHeaderBytes], uint32(len(frame)-FrameHeaderBytes))
}

// Frame encodes a payload of at most FramePayloadBytesMax bytes.
func Frame(kind FrameType, payload []byte) []byte {
	frame := append(make([]byte, FrameHeaderBytes, FrameHeaderBytes+len(payload)), payload...)
	PutFrameHeader(frame, kind)
	return frame
}

// OutcomeFrame encodes the last frame: an Outcome, perhaps with more fields.
func OutcomeFrame(outcome interface{}) ([]byte, error) {
	payload, err := json.Marshal(outcome)
	if err != nil {
		return nil, err
	}
	return Frame(FrameOutcome, payload), nil
}

// OffsetFrame encodes a frame whose payload is one number.
func OffsetFrame(kind FrameType, number int64) []byte {
	var payload [numberBytes]byte
	binary.BigEndian.PutUint64(payload[:], uint64(number))
	return Frame(kind, payload[:])
}

// Number decodes the payload of OffsetFrame.
func Number(payload []byte) (int64, bool) {
	if len(payload) != numberBytes {
		return 0, false
	}
	number := binary.BigEndian.Uint64(payload)
	return int64(number), number <= math.MaxInt64
}

// ReadFrame reads one frame. io.EOF only occurs between frames; a payload over the limit is an error.
func ReadFrame(source io.Reader) (FrameType, []byte, error) {
	var header [FrameHeaderBytes]byte
	if _, err := io.ReadFull(source, header[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length > FramePayloadBytesMax {
		return 0, nil, fmt.Errorf("a frame of %d bytes is longer than %d", length, FramePayloadBytesMax)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(source, payload); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, err
	}
	return FrameType(header[0]), payload, nil
}

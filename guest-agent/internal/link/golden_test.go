package link_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"guest-agent/internal/link"
)

var update = flag.Bool("update", false, "write the golden frames anew")

// Both ends of the link are tested against these files; the other end is src/guest.
const goldenDirectory = "../../../test/fixtures/frames"

func isGolden(t *testing.T, name string, frames interface{}) {
	t.Helper()
	text, err := json.MarshalIndent(frames, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	path := filepath.Join(goldenDirectory, name)
	if *update {
		if err := os.MkdirAll(goldenDirectory, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, text) {
		t.Errorf("%s differs from what is sent now:\n%s", name, text)
	}
}

type preambleFrame struct {
	Name  string `json:"name"`
	Hex   string `json:"hex"`
	Token string `json:"token"`
	Nonce string `json:"nonce"`
	Ack   string `json:"ack"`
	Reply string `json:"reply"`
}

func TestGoldenPreamble(t *testing.T) {
	var frames []preambleFrame
	for name, seed := range map[string]byte{"counting": 1} {
		token, nonce := make([]byte, link.TokenBytes), make([]byte, link.NonceBytes)
		for i := range token {
			token[i] = seed + byte(i)
		}
		for i := range nonce {
			nonce[i] = 0xf0 - byte(i)
		}
		ack := link.Acknowledgement(token)
		frames = append(frames, preambleFrame{
			Name:  name,
			Hex:   hex.EncodeToString(append(append([]byte{}, token...), nonce...)),
			Token: hex.EncodeToString(token),
			Nonce: hex.EncodeToString(nonce),
			Ack:   hex.EncodeToString(ack),
			Reply: hex.EncodeToString(append(append([]byte{}, ack...), nonce...)),
		})
	}
	isGolden(t, "preamble.json", frames)
}

type execFrame struct {
	Name    string          `json:"name"`
	From    string          `json:"from"`
	Hex     string          `json:"hex"`
	Type    link.FrameType  `json:"type"`
	Payload string          `json:"payload_hex"`
	Outcome json.RawMessage `json:"outcome,omitempty"`
}

func TestGoldenExecFrames(t *testing.T) {
	plain := func(name, from string, kind link.FrameType, payload string) execFrame {
		return execFrame{Name: name, From: from, Hex: hex.EncodeToString(link.Frame(kind, []byte(payload))), Type: kind,
			Payload: hex.EncodeToString([]byte(payload))}
	}
	outcome := func(name string, outcome link.Outcome) execFrame {
		frame, err := link.OutcomeFrame(outcome)
		if err != nil {
			t.Fatal(err)
		}
		payload := frame[link.FrameHeaderBytes:]
		return execFrame{Name: name, From: "guest", Hex: hex.EncodeToString(frame), Type: link.FrameOutcome,
			Payload: hex.EncodeToString(payload), Outcome: payload}
	}
	number := func(name, from string, kind link.FrameType, value int64) execFrame {
		frame := link.OffsetFrame(kind, value)
		return execFrame{Name: name, From: from, Hex: hex.EncodeToString(frame), Type: kind,
			Payload: hex.EncodeToString(frame[link.FrameHeaderBytes:])}
	}
	frames := []execFrame{
		plain("stdout", "guest", link.FrameStdout, "hello\n"),
		plain("stdout that is not text", "guest", link.FrameStdout, "\x00\xff\xfe"),
		plain("stderr", "guest", link.FrameStderr, "oops\n"),
		outcome("exited 0", link.Exited(0)),
		outcome("exited 127", link.Exited(127)),
		outcome("signalled", link.Signalled("KILL")),
		outcome("timed out", link.TimedOut()),
		plain("stdin", "host", link.FrameStdin, "input"),
		plain("end of stdin", "host", link.FrameStdin, ""),
		number("lost", "guest", link.FrameLost, 1<<40+7),
		number("taken", "host", link.FrameTaken, 65536),
		plain("let go", "host", link.FrameLetGo, ""),
	}
	for _, frame := range frames {
		content, err := hex.DecodeString(frame.Hex)
		if err != nil {
			t.Fatal(err)
		}
		kind, payload, err := link.ReadFrame(bytes.NewReader(content))
		if err != nil || kind != frame.Type || hex.EncodeToString(payload) != frame.Payload {
			t.Errorf("%s reads as %d %x, %v", frame.Name, kind, payload, err)
		}
	}
	isGolden(t, "exec.json", frames)
}

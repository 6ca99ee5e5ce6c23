package calls

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"guest-agent/internal/link"
	"guest-agent/internal/linktest"
)

// download makes a call, and returns its answer, the bytes of its frames, and the last frame.
func (g *guest) download(t *testing.T, name string, all arguments) (answer arguments, content string, last arguments) {
	t.Helper()
	stream := g.host.Open(linktest.Line(t, name, all))
	defer stream.Close()
	if answer = stream.Answer(); answer["ok"] != true {
		return answer, "", nil
	}
	content, last = framesOf(t, stream)
	return answer, content, last
}

func framesOf(t *testing.T, stream *linktest.Stream) (string, arguments) {
	t.Helper()
	var content strings.Builder
	for {
		kind, payload, err := link.ReadFrame(stream.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if kind == link.FrameData {
			content.Write(payload)
			continue
		}
		var last arguments
		if err := json.Unmarshal(payload, &last); err != nil || kind != link.FrameEnd {
			t.Fatalf("frame %d, %v", kind, err)
		}
		return content.String(), last
	}
}

// upload makes a call with content, and returns the last frame.
func (g *guest) upload(t *testing.T, name string, all arguments, content string) arguments {
	t.Helper()
	stream := g.host.Open(linktest.Line(t, name, all))
	defer stream.Close()
	if answer := stream.Answer(); answer["ok"] != true {
		return answer
	}
	// A guest that refuses what comes does not read the rest.
	go func() {
		for rest := content; rest != ""; {
			part := rest
			if len(part) > link.FramePayloadBytesMax {
				part = part[:link.FramePayloadBytesMax]
			}
			rest = rest[len(part):]
			if _, err := stream.Write(link.Frame(link.FrameUpload, []byte(part))); err != nil {
				return
			}
		}
		_, _ = stream.Write(link.Frame(link.FrameUploadEnd, nil))
	}()
	_, last := framesOf(t, stream)
	return last
}

func isCode(t *testing.T, answer arguments, code, words string) {
	t.Helper()
	if message, _ := answer["message"].(string); answer["code"] != code || !strings.Contains(message, words) {
		t.Errorf("answer %v, want %s: …%s…", answer, code, words)
	}
}

// isAlone checks that a directory has these files and no temporary ones.
func isAlone(t *testing.T, directory string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	if fmt.Sprint(found) != fmt.Sprint(names) {
		t.Errorf("%v, want %v", found, names)
	}
}

func TestAFileGoesInAndOut(t *testing.T) {
	guest := newGuest(t)
	path := filepath.Join(t.TempDir(), "a/b/file")
	content := strings.Repeat("0123456789\x00\xff", 100_000)
	last := guest.upload(t, "file_write", arguments{"path": path, "parents": true, "mode": 0o640}, content)
	entry, _ := last["entry"].(map[string]interface{})
	if entry["size"] != float64(len(content)) || entry["mode"] != float64(0o640) {
		t.Fatalf("write: %v", last)
	}
	isAlone(t, filepath.Dir(path), "file")
	answer, got, last := guest.download(t, "file_read", arguments{"path": path})
	if got != content || answer["length"] != float64(len(content)) || last["ok"] != true {
		t.Errorf("read: %v, %d bytes, %v", answer, len(got), last)
	}
	if _, got, _ := guest.download(t, "file_read", arguments{"path": path, "offset": 10, "length": 5}); got != content[10:15] {
		t.Errorf("a range: %q", got)
	}
}

func TestAnUploadThatIsCutChangesNothing(t *testing.T) {
	guest := newGuest(t)
	path := filepath.Join(t.TempDir(), "file")
	guest.upload(t, "file_write", arguments{"path": path}, "old")
	for _, rest := range [][]byte{nil, link.Frame(link.FrameTaken, []byte("12345678")), {0xff, 0xff, 0xff, 0xff, 0xff}} {
		stream := guest.host.Open(linktest.Line(t, "file_write", arguments{"path": path}))
		if answer := stream.Answer(); answer["ok"] != true {
			t.Fatalf("write: %v", answer)
		}
		_, _ = stream.Write(append(link.Frame(link.FrameUpload, []byte("new")), rest...))
		_ = stream.Close()
		if _, last := framesOf(t, stream); last["ok"] != false {
			t.Errorf("half an upload ends with %v", last)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
			t.Errorf("%q, %v", got, err)
		}
		isAlone(t, filepath.Dir(path), "file")
	}
}

func TestADirectoryIsListedMovedAndRemoved(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	for _, name := range []string{"b", "a", "c"} {
		guest.upload(t, "file_write", arguments{"path": directory + "/" + name}, name)
	}
	_, lines, last := guest.download(t, "file_list", arguments{"path": directory, "after": "a", "limit": 1})
	if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, `"name":"b"`) || last["has_more"] != true {
		t.Errorf("%s %v", lines, last)
	}
	guest.host.Call("file_mkdir", arguments{"path": directory + "/d/e", "parents": true})
	guest.host.Call("file_move", arguments{"from": directory + "/a", "to": directory + "/d/e/a"})
	isAlone(t, directory+"/d/e", "a")
	if answer := guest.host.Call("file_remove", arguments{"path": directory + "/d", "recursive": true}); answer["ok"] != true {
		t.Errorf("%v", answer)
	}
	isAlone(t, directory, "b", "c")
}

func TestATreeGoesOutAndIn(t *testing.T) {
	guest := newGuest(t)
	from, to := filepath.Join(t.TempDir(), "tree"), t.TempDir()
	for i := 0; i < 50; i++ {
		path := fmt.Sprintf("%s/%d/%d", from, i%5, i)
		guest.upload(t, "file_write", arguments{"path": path, "parents": true}, strings.Repeat("x", i*1000))
	}
	_, archive, last := guest.download(t, "file_pack", arguments{"path": from})
	if last["ok"] != true {
		t.Fatalf("pack: %v", last)
	}
	if last := guest.upload(t, "file_unpack", arguments{"path": to}, archive); last["count"] != float64(56) {
		t.Fatalf("unpack: %v", last)
	}
	if info, err := os.Stat(to + "/tree/4/49"); err != nil || info.Size() != 49_000 {
		t.Errorf("%v %v", info, err)
	}
	isCode(t, guest.upload(t, "file_unpack", arguments{"path": to}, strings.Repeat("nothing", 1000)), "invalid", "no tar archive")
	isCode(t, guest.upload(t, "file_unpack", arguments{"path": to + "/none"}, archive), "not_found", "none")
	if last := guest.upload(t, "file_unpack", arguments{"path": to}, archive[:20_000]); last["ok"] != false {
		t.Errorf("half an archive: %v", last)
	}
}

func TestAWatchEndsWithItsCall(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	stream := guest.host.Open(linktest.Line(t, "file_watch", arguments{"path": directory}))
	if answer := stream.Answer(); answer["ok"] != true {
		t.Fatalf("%v", answer)
	}
	guest.upload(t, "file_write", arguments{"path": directory + "/file"}, "x")
	kind, payload, err := link.ReadFrame(stream.Reader)
	if err != nil || kind != link.FrameData || !strings.Contains(string(payload), `"type":"created"`) {
		t.Errorf("%d %s %v", kind, payload, err)
	}
	_ = stream.Close()
	if _, err := io.Copy(io.Discard, stream.Reader); err != nil {
		t.Error(err)
	}
}

func TestRefusedFiles(t *testing.T) {
	guest := newGuest(t)
	directory := t.TempDir()
	file := filepath.Join(directory, "file")
	guest.upload(t, "file_write", arguments{"path": file}, "x")
	for _, test := range []struct {
		call      string
		arguments arguments
		code      string
		words     string
	}{
		{"file_read", arguments{"path": directory + "/none"}, "not_found", "/none: no such file"},
		{"file_read", arguments{"path": directory}, "invalid", "is a directory"},
		{"file_read", arguments{"path": "/dev/zero"}, "invalid", "no regular file"},
		{"file_read", arguments{"path": "etc/passwd"}, "invalid", "absolute"},
		{"file_read", arguments{"path": file, "offset": -1}, "invalid", "offset"},
		{"file_read", arguments{"path": file + "/x"}, "invalid", "not a directory"},
		{"file_stat", arguments{"path": file + "\x00"}, "invalid", "NUL"},
		{"file_write", arguments{"path": directory}, "invalid", "is a directory"},
		{"file_write", arguments{"path": file + "/x"}, "invalid", "not a directory"},
		{"file_write", arguments{"path": file, "owner": "none-such"}, "invalid", "no such user"},
		{"file_list", arguments{"path": file, "limit": 1}, "invalid", "not a directory"},
		{"file_list", arguments{"path": directory, "limit": 0}, "invalid", "limit"},
		{"file_mkdir", arguments{"path": file}, "conflict", "exists"},
		{"file_move", arguments{"from": file, "to": directory + "/none/x"}, "not_found", "no such file"},
		{"file_remove", arguments{"path": "/proc", "recursive": true}, "conflict", "mounted"},
		{"file_pack", arguments{"path": directory + "/none"}, "not_found", "no such file"},
		{"file_watch", arguments{"path": directory + "/none"}, "not_found", "no such file"},
	} {
		isCode(t, guest.host.Call(test.call, test.arguments), test.code, test.words)
	}
	isAlone(t, directory, "file")
}

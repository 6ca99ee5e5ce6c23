// Command guest-chat is a web application for tests: a page that opens a WebSocket to the server that it came from, sends what
// its address says after `#`, and shows what comes back. It listens on the port that it is given.
package main

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
)

const page = `<!doctype html><title>chat</title><pre id="log"></pre><script>
const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat');
const words = decodeURIComponent(location.hash.slice(1)).split(' ');
socket.onopen = () => { for (const word of words) socket.send(word); };
socket.onmessage = ({ data }) => { document.getElementById('log').textContent += data + '\n'; };
socket.onclose = ({ code }) => { document.title = 'closed ' + code; };
</script>`

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, page)
	})
	http.HandleFunc("/chat", chat)
	fmt.Fprintln(os.Stderr, http.ListenAndServe(":"+os.Args[1], nil))
	os.Exit(1)
}

// chat answers each text of the client with the same text (RFC 6455). A client's texts are short and in one frame.
func chat(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	connection, both, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	fmt.Fprintf(both, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	both.Flush()
	for {
		opcode, payload, err := frame(both.Reader)
		if err != nil {
			return
		}
		if opcode != 1 {
			connection.Write([]byte{0x88, 0})
			return
		}
		head := []byte{0x81, byte(len(payload))}
		if len(payload) > 125 {
			head = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(payload)))
		}
		connection.Write(append(head, payload...))
	}
}

func frame(from *bufio.Reader) (opcode byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err = io.ReadFull(from, head); err != nil {
		return
	}
	size := int(head[1] & 0x7f)
	if size == 126 {
		long := make([]byte, 2)
		if _, err = io.ReadFull(from, long); err != nil {
			return
		}
		size = int(binary.BigEndian.Uint16(long))
	}
	mask := make([]byte, 4)
	if _, err = io.ReadFull(from, mask); err != nil {
		return
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(from, payload)
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0] & 0x0f, payload, err
}

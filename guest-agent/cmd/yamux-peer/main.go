// Command yamux-peer is a yamux server on HashiCorp's library, used to test our TypeScript implementation.
// Without arguments it serves one session on standard input and output; with a path it listens there, prints
// `ready`, and serves one session per connection. Each stream begins with a line that says what to do with
// it:
//
//	echo      send everything back until the end
//	source N  send N bytes, where byte i is i & 0xff
//	sink      read to the end, then answer `COUNT SHA256` and a newline
//	stall     never read and never answer
//	open      open a stream to the client and echo there
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/yamux"
)

const patternBytes = 64 << 10

func main() {
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, "usage: yamux-peer [SOCKET]")
		os.Exit(2)
	}
	var err error
	if len(os.Args) == 2 {
		err = listen(os.Args[1])
	} else {
		err = serve(standardStreams{os.Stdin, os.Stdout})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "yamux-peer:", err)
		os.Exit(1)
	}
}

type standardStreams struct {
	io.ReadCloser
	io.Writer
}

func listen(path string) error {
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			if err := serve(conn); err != nil {
				fmt.Fprintln(os.Stderr, "yamux-peer:", err)
			}
		}()
	}
}

func serve(conn io.ReadWriteCloser) error {
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.StreamCloseTimeout = 0
	session, err := yamux.Server(conn, config)
	if err != nil {
		return err
	}
	for {
		stream, err := session.AcceptStream()
		if session.IsClosed() {
			return nil
		}
		if err != nil {
			return err
		}
		go func() {
			defer stream.Close()
			if err := obey(session, stream); err != nil {
				fmt.Fprintf(os.Stderr, "yamux-peer: stream %d: %v\n", stream.StreamID(), err)
			}
		}()
	}
}

func obey(session *yamux.Session, stream *yamux.Stream) error {
	input := bufio.NewReader(stream)
	line, err := input.ReadString('\n')
	if err != nil {
		return err
	}
	words := strings.Fields(line)
	switch {
	case len(words) == 1 && words[0] == "echo":
		_, err = io.Copy(stream, input)
		return err
	case len(words) == 2 && words[0] == "source":
		return source(stream, words[1])
	case len(words) == 1 && words[0] == "sink":
		hash := sha256.New()
		count, err := io.Copy(hash, input)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(stream, "%d %s\n", count, hex.EncodeToString(hash.Sum(nil)))
		return err
	case len(words) == 1 && words[0] == "stall":
		<-session.CloseChan()
		return nil
	case len(words) == 1 && words[0] == "open":
		return echoOnNewStream(session)
	default:
		return fmt.Errorf("unknown command %q", line)
	}
}

func source(stream io.Writer, size string) error {
	left, err := strconv.ParseUint(size, 10, 63)
	if err != nil {
		return err
	}
	pattern := make([]byte, patternBytes)
	for i := range pattern {
		pattern[i] = byte(i)
	}
	for left > 0 {
		part := pattern
		if uint64(len(part)) > left {
			part = part[:left]
		}
		if _, err := stream.Write(part); err != nil {
			return err
		}
		left -= uint64(len(part))
	}
	return nil
}

func echoOnNewStream(session *yamux.Session) error {
	stream, err := session.OpenStream()
	if err != nil {
		return err
	}
	defer stream.Close()
	_, err = io.Copy(stream, stream)
	return err
}

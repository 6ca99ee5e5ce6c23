// Command guest-sftp serves SFTP on its standard input and output. The SSH gateway puts it into a guest and runs it there as the user
// who has connected, so that the guest's own kernel decides what that user may do with its files.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/pkg/sftp"
)

type streams struct {
	io.Reader
	io.WriteCloser
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "guest-sftp:", err)
		os.Exit(1)
	}
}

func serve() error {
	options := []sftp.ServerOption{}
	// Relative paths are relative to it, as with OpenSSH's server.
	if home, err := os.UserHomeDir(); err == nil && os.Chdir(home) == nil {
		options = append(options, sftp.WithServerWorkingDirectory(home))
	}
	server, err := sftp.NewServer(streams{os.Stdin, os.Stdout}, options...)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Serve(); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Command guest-agent is the first process of a Flotilla guest and its end of the guest link. Outside a
// guest, for tests, it serves the link on a descriptor or socket and does not change the machine on which it
// runs.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"guest-agent/internal/system"
)

// version is set by the linker.
var version = "dev"

const usage = `usage: guest-agent serve [--fd N | --socket PATH] [--root DIRECTORY]
       guest-agent poweroff | reboot | halt
As process 1 it brings the guest up.
`

func main() {
	// The kernel passes unknown words of its command line as arguments to process 1; of those only `serve` is a
	// command.
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		exit(serve(os.Args[2:]))
	}
	if os.Getpid() == 1 {
		runGuest()
		return
	}
	if mode, ok := system.ParseMode(filepath.Base(os.Args[0])); ok {
		exit(system.AskInit(mode))
	}
	if len(os.Args) > 1 {
		if mode, ok := system.ParseMode(os.Args[1]); ok {
			exit(system.AskInit(mode))
		}
	}
	fmt.Fprint(os.Stderr, usage)
	os.Exit(2)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest-agent:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
)

// confine is the second stage: it runs in the new namespaces with the shim's rights and becomes the VMM. It
// returns only on an error.
func confine() error {
	spec, err := inheritedSpec()
	if err != nil {
		return fmt.Errorf("read the specification: %w", err)
	}
	// First, so that the limits also cover everything that follows.
	enterCgroups(spec.CgroupFiles)
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(spec.OomScoreAdj)), 0); err != nil {
		warn("the VMM's OOM score is not set: %v", err)
	}
	if spec.Jail != nil {
		if err := enterJail(spec.Jail); err != nil {
			return err
		}
	}
	if err := os.Chdir(spec.Cwd); err != nil {
		return err
	}
	if err := limitResources(spec); err != nil {
		return err
	}
	if err := dropRights(spec); err != nil {
		return err
	}
	if err := keepTaps(len(spec.Taps)); err != nil {
		return err
	}
	if err := awaitGo(); err != nil {
		return err
	}
	if err := syscall.Exec(spec.Argv[0], spec.Argv, []string{}); err != nil {
		return fmt.Errorf("run %s: %w", spec.Argv[0], err)
	}
	return nil
}

// warn uses the format of QEMU's own warnings, which the daemon does not mistake for the reason of an exit.
func warn(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "launch: warning: "+format+"\n", values...)
}

func inheritedSpec() (*Spec, error) {
	file := os.NewFile(specFD, "spec")
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, specBytesMax))
	if err != nil {
		return nil, err
	}
	return parseSpec(text)
}

// enterCgroups moves this process into its groups. A failure is only a warning: the daemon checks which
// groups the VMM is in and reports it.
func enterCgroups(files []string) {
	for _, path := range files {
		// "0" means the writing process, whatever its number in this namespace.
		if err := os.WriteFile(path, []byte("0"), 0); err != nil {
			warn("a control group is not entered: %v", err)
		}
	}
}

// awaitGo waits until the daemon has recorded this process. End of input means that the daemon is gone.
func awaitGo() error {
	one := make([]byte, 1)
	if _, err := io.ReadFull(os.Stdin, one); err != nil {
		return errors.New("the daemon exited before it had recorded the VMM")
	}
	null, err := os.OpenFile("/dev/null", os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return syscall.Dup3(int(null.Fd()), 0, 0)
}

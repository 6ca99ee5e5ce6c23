// Command image-builder makes an ext4 file system from a tar stream on standard input. It runs in the jail for untrusted
// files. It writes only the image and a spool beside it, and runs only the given programs of e2fsprogs.
//
//	image-builder -image NAME -bytes-max N -entries-max N MKFS [ARGUMENT...]
//
// MKFS and its arguments, followed by `-N inodes NAME size`, make an empty file system. On standard output it writes
// one line of JSON: `{"size_mib":…}`, or `{"refused":{"code":…,"message":…,"hint":…}}` with exit code 3 when the archive
// is at fault. All other failures exit with 1 and a reason on standard error.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"image-builder/internal/archive"
	"image-builder/internal/ext4"
	"image-builder/internal/refusal"
	"image-builder/internal/spool"
	"image-builder/internal/tree"
)

// version is set by the linker.
var version = "dev"

const (
	exitFailed  = 1
	exitRefused = 3
	// Less than the jail's 2 GiB of address space.
	memoryBytesMax = 3 << 29
	// Directories with more blocks get an index, so that guests find a file without reading the whole directory.
	plainDirectoryBlocks = 16
)

type options struct {
	image      string
	bytesMax   int64
	entriesMax int
	mkfs       []string
}

func main() {
	// The kernel sends the parent-death signal when the parent's thread ends, so this thread must live on.
	runtime.LockOSThread()
	debug.SetMemoryLimit(memoryBytesMax)
	size, err := build(readOptions())
	var refused *refusal.Refusal
	switch {
	case errors.As(err, &refused):
		answer(map[string]interface{}{"refused": refused})
		os.Exit(exitRefused)
	case err != nil:
		fmt.Fprintln(os.Stderr, "image-builder:", err)
		os.Exit(exitFailed)
	}
	answer(map[string]interface{}{"size_mib": size.MiB})
}

func readOptions() options {
	var given options
	isVersion := flag.Bool("version", false, "print the version")
	flag.StringVar(&given.image, "image", "", "the file to make")
	flag.Int64Var(&given.bytesMax, "bytes-max", 0, "limit of the unpacked archive")
	flag.IntVar(&given.entriesMax, "entries-max", 0, "limit of its entries")
	flag.Parse()
	given.mkfs = flag.Args()
	if *isVersion {
		fmt.Println(version)
		os.Exit(0)
	}
	if given.image == "" || len(given.mkfs) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	return given
}

func answer(value interface{}) {
	line, err := json.Marshal(value)
	if err != nil {
		fmt.Fprintln(os.Stderr, "image-builder:", err)
		os.Exit(exitFailed)
	}
	fmt.Println(string(line))
}

func build(given options) (ext4.Size, error) {
	contents, err := spool.Create(given.image + ".spool")
	if err != nil {
		return ext4.Size{}, err
	}
	files := tree.New(time.Now())
	limits := archive.Limits{Bytes: given.bytesMax, Entries: given.entriesMax}
	if err := archive.Read(os.Stdin, files, contents, limits); err != nil {
		return ext4.Size{}, err
	}
	if err := files.MakeStartable(); err != nil {
		return ext4.Size{}, err
	}
	if err := ext4.NeedLostAndFound(files); err != nil {
		return ext4.Size{}, err
	}
	size, err := ext4.Plan(files)
	if err != nil {
		return ext4.Size{}, err
	}
	return size, write(given, files, contents, size)
}

func write(given options, files *tree.Tree, contents *spool.Spool, size ext4.Size) error {
	inodes, mib := strconv.FormatInt(size.Inodes, 10), strconv.FormatInt(size.MiB, 10)
	mkfs := append(append([]string{}, given.mkfs...), "-N", inodes, given.image, mib+"M")
	if err := run(mkfs, 0); err != nil {
		return err
	}
	reader, err := contents.Reader()
	if err != nil {
		return err
	}
	image, err := os.OpenFile(given.image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	err = ext4.Populate(image, files.Root, reader)
	if closeErr := image.Close(); err == nil {
		err = closeErr
	}
	if err != nil || size.LargestDirectory <= plainDirectoryBlocks {
		return err
	}
	// e2fsck exits with 1 if it changed something, such as adding an index.
	return run([]string{"e2fsck", "-fyD", given.image}, 1)
}

// run runs a program to its end. Its output goes to this program's output.
func run(argv []string, exitCodeMax int) error {
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	err := command.Run()
	if err != nil && command.ProcessState != nil && command.ProcessState.Exited() && command.ProcessState.ExitCode() <= exitCodeMax {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

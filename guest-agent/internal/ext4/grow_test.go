package ext4

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const mib = 1 << 20

// The options with which src/lib/ext4.ts makes root file systems.
var usual = []string{"-N", "8192", "-O", "^resize_inode"}

// makeDisk makes a file system of the given MiB with a file that is larger than a block.
func makeDisk(t *testing.T, sizeMib int, options []string) string {
	t.Helper()
	directory := t.TempDir()
	tree := filepath.Join(directory, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "etc", "kept"), bytes.Repeat([]byte("kept\n"), 5000), 0o644); err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(directory, "disk")
	arguments := []string{"-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256", "-m", "0", "-J", "size=8"}
	arguments = append(append(arguments, options...), "-d", tree, disk, fmt.Sprintf("%dM", sizeMib))
	run(t, "mkfs.ext4", arguments...)
	return disk
}

func run(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	command := exec.Command(program, arguments...)
	command.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, output)
	}
	return string(output)
}

// unsynced skips syncing, which makes the tests faster.
type unsynced struct{ *os.File }

func (unsynced) Sync() error { return nil }

func growTo(t *testing.T, path string, diskBytes uint64) Result {
	t.Helper()
	file := openSized(t, path, diskBytes)
	defer file.Close()
	result, err := Grow(unsynced{file}, diskBytes)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func openSized(t *testing.T, path string, diskBytes uint64) *os.File {
	t.Helper()
	if err := os.Truncate(path, int64(diskBytes)); err != nil {
		t.Fatal(err)
	}
	file, err := OpenDisk(path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// expectSound runs e2fsck on the disk and reads the file back.
func expectSound(t *testing.T, disk string) {
	t.Helper()
	run(t, "e2fsck", "-f", "-n", disk)
	if kept := run(t, "debugfs", "-R", "cat /etc/kept", disk); strings.Count(kept, "kept\n") != 5000 {
		t.Errorf("the file holds %d bytes", len(kept))
	}
}

func TestGrowsToAnySize(t *testing.T) {
	for _, fromMib := range []int{32, 100, 128} {
		for _, more := range []uint64{4096, 27 * mib, 1000*mib + 512, 20_000 * mib} {
			fromMib, more := fromMib, more
			t.Run(fmt.Sprintf("%d MiB and %d bytes", fromMib, more), func(t *testing.T) {
				t.Parallel()
				disk := makeDisk(t, fromMib, usual)
				bytes := uint64(fromMib)*mib + more
				result := growTo(t, disk, bytes)
				// A group is not started for less than its metadata and a few blocks.
				if most := bytes / 4096; result.To > most || result.To+600 < most {
					t.Errorf("grown to %d of %d blocks", result.To, most)
				}
				expectSound(t, disk)
			})
		}
	}
}

func TestGrowsAgainAndAgain(t *testing.T) {
	disk := makeDisk(t, 32, usual)
	for _, sizeMib := range []uint64{33, 200, 8191, 8193, 9000, 16_384, 130_000} {
		growTo(t, disk, sizeMib*mib)
		expectSound(t, disk)
		if again := growTo(t, disk, sizeMib*mib); again.From != again.To {
			t.Errorf("at %d MiB it grows again: %+v", sizeMib, again)
		}
	}
}

func TestGrowsToTheLargestFileSystemOfAllFormats(t *testing.T) {
	for name, test := range map[string]struct {
		options []string
		want    uint64
	}{
		"64 bit":          {[]string{"-O", "^resize_inode", "-N", "8192"}, 1 << 32},
		"32 bit":          {[]string{"-O", "^resize_inode,^64bit", "-N", "8192"}, 1<<32 - 1},
		"many inodes":     {[]string{"-O", "^resize_inode", "-N", "32768"}, (1<<32 - 1) / 32768 * 32768},
		"seed of its own": {[]string{"-O", "^resize_inode,metadata_csum_seed", "-N", "8192"}, 1 << 32},
	} {
		t.Run(name, func(t *testing.T) {
			disk := makeDisk(t, 64, test.options)
			// A file of the host cannot be as large as the largest file system.
			file, err := OpenDisk(disk)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			super, err := ReadSuperblock(file)
			if err != nil || super.checkGrowable() != nil {
				t.Fatal(err, super.checkGrowable())
			}
			if got := super.blocksWithin(16 << 40); got != test.want {
				t.Errorf("%d blocks, want %d", got, test.want)
			}
			growTo(t, disk, 1<<40)
			expectSound(t, disk)
		})
	}
}

var errCut = errors.New("cut off")

// cutDisk loses everything after a certain write, which it makes only partly. The superblock is always
// written atomically.
type cutDisk struct {
	unsynced
	writesLeft int
}

func (c *cutDisk) WriteAt(content []byte, at int64) (int, error) {
	if c.writesLeft == 0 {
		if at != superblockOffset {
			_, _ = c.File.WriteAt(content[:len(content)*2/3], at)
		}
		return 0, errCut
	}
	c.writesLeft--
	return c.File.WriteAt(content, at)
}

func TestAnInterruptionAtAnyWriteIsRepairedByTheNextStart(t *testing.T) {
	const grownMib = 20_000
	whole := makeDisk(t, 40, usual)
	original, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	growTo(t, whole, grownMib*mib)
	want := run(t, "dumpe2fs", whole)
	disk := filepath.Join(t.TempDir(), "disk")
	for writes := 0; ; writes++ {
		if err := os.WriteFile(disk, original, 0o600); err != nil {
			t.Fatal(err)
		}
		file := openSized(t, disk, grownMib*mib)
		_, err := Grow(&cutDisk{unsynced{file}, writes}, grownMib*mib)
		super, readErr := ReadSuperblock(file)
		file.Close()
		if err == nil {
			if writes < 10 {
				t.Fatalf("only %d writes were made", writes)
			}
			return
		}
		if !errors.Is(err, errCut) || readErr != nil {
			t.Fatal(err, readErr)
		}
		if super.Blocks() != 40*256 {
			t.Fatalf("after %d writes the superblock counts %d blocks", writes, super.Blocks())
		}
		growTo(t, disk, grownMib*mib)
		expectSound(t, disk)
		if got := run(t, "dumpe2fs", disk); got != want {
			t.Fatalf("after %d writes the file system became another", writes)
		}
		if err := os.Remove(disk); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusesUnknownFeatures(t *testing.T) {
	for name, options := range map[string][]string{
		"reserved descriptors": {"-N", "8192"},
		"no checksums":         {"-N", "8192", "-O", "^resize_inode,^metadata_csum"},
		"clusters":             {"-N", "8192", "-O", "^resize_inode,bigalloc"},
		"two copies":           {"-N", "8192", "-O", "^resize_inode,sparse_super2"},
	} {
		t.Run(name, func(t *testing.T) {
			disk := makeDisk(t, 64, options)
			before := run(t, "dumpe2fs", disk)
			file := openSized(t, disk, 256*mib)
			defer file.Close()
			var unsupported *UnsupportedError
			if _, err := Grow(file, 256*mib); !errors.As(err, &unsupported) {
				t.Errorf("%v, want that it is not supported", err)
			}
			if run(t, "dumpe2fs", disk) != before {
				t.Error("it was changed")
			}
		})
	}
}

func TestRefusesDamagedSuperblocks(t *testing.T) {
	disk := makeDisk(t, 64, usual)
	original, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < superblockBytes; at++ {
		damaged := append([]byte(nil), original[:8192]...)
		damaged[superblockOffset+at] ^= 0xff
		if super, err := ReadSuperblock(bytes.NewReader(damaged)); err == nil && super.checkGrowable() == nil {
			t.Errorf("byte %d may be anything", at)
		}
	}
	for at := 0; at < superblockBytes-8; at += 2 {
		// With a valid checksum: whatever the superblock says, nothing here may panic.
		damaged := Superblock{append([]byte(nil), original[superblockOffset:superblockOffset+superblockBytes]...)}
		damaged.setShort(at, 0)
		if damaged.short(magicAt) == magic && damaged.word(blockShiftAt) <= blockShiftMax {
			damaged = Superblock{damaged.copyFor(0)}
			if damaged.checkGrowable() == nil {
				damaged.blocksWithin(1 << 40)
			}
		}
	}
	for name, content := range map[string][]byte{"empty": make([]byte, 8192), "short": original[:1500]} {
		if _, err := ReadSuperblock(bytes.NewReader(content)); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

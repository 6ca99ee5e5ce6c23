package tree

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func newTree() *Tree { return New(time.Unix(0, 0)) }

func node(kind Kind) *Node { return &Node{Kind: kind, Mode: 0o755, Size: 1} }

func link(target string) *Node {
	n := node(Symlink)
	n.SetRare(Rare{Target: target})
	return n
}

func add(t *testing.T, tree *Tree, path string, n *Node) {
	t.Helper()
	if err := tree.Add(path, n); err != nil {
		t.Fatalf("add %s: %v", path, err)
	}
}

// at returns a node without following links.
func at(tree *Tree, path string) *Node {
	n := tree.Root
	for _, name := range strings.Split(path, "/") {
		if n = n.Get(name); n == nil {
			return nil
		}
	}
	return n
}

func TestDirectoryKeepsLinkToDirectory(t *testing.T) {
	for _, target := range []string{"usr/lib", "/usr/lib", "./usr/../usr/lib/", "../../usr/lib"} {
		tree := newTree()
		add(t, tree, "usr/lib", node(Directory))
		add(t, tree, "lib", link(target))
		add(t, tree, "lib/", node(Directory))
		add(t, tree, "lib/x.so", node(File))
		if at(tree, "lib").Kind != Symlink || at(tree, "usr/lib/x.so") == nil {
			t.Errorf("%s: the link is gone, or the file is not where it leads", target)
		}
	}
}

func TestDirectoryKeepsLinkWhoseTargetComesLater(t *testing.T) {
	tree := newTree()
	add(t, tree, "lib", link("usr/lib"))
	add(t, tree, "lib/", node(Directory))
	add(t, tree, "lib/x.so", node(File))
	add(t, tree, "usr/lib/y.so", node(File))
	if at(tree, "lib").Kind != Symlink || at(tree, "usr/lib/x.so") == nil || at(tree, "usr/lib/y.so") == nil {
		t.Error("the files are not together")
	}
}

func TestFileThroughLinkThatLeadsNowhereIsRefused(t *testing.T) {
	for _, target := range []string{"nowhere", "/nowhere", "loop"} {
		tree := newTree()
		add(t, tree, "loop", link(target))
		if err := tree.Add("loop/x", node(File)); err == nil {
			t.Errorf("%s: not refused", target)
		}
	}
}

func TestLastEntryWins(t *testing.T) {
	tree := newTree()
	add(t, tree, "a", node(File))
	second := node(File)
	add(t, tree, "a", second)
	add(t, tree, "empty", node(Directory))
	add(t, tree, "empty", node(File))
	if at(tree, "a") != second || second.Links != 1 || at(tree, "empty").Kind != File {
		t.Error("an earlier entry is there")
	}
	add(t, tree, "full/x", node(File))
	if err := tree.Add("full", link("a")); err == nil {
		t.Error("a directory that is not empty was replaced")
	}
}

func TestHardLinksShareOneNode(t *testing.T) {
	tree := newTree()
	add(t, tree, "usr/bin/tool", node(File))
	add(t, tree, "bin", link("usr/bin"))
	for _, target := range []string{"usr/bin/tool", "./bin/tool", "/bin/tool"} {
		if err := tree.Link("other/name", target); err != nil {
			t.Fatal(err)
		}
	}
	tool := at(tree, "usr/bin/tool")
	if at(tree, "other/name") != tool || tool.Links != 2 {
		t.Errorf("%d links", tool.Links)
	}
	for _, target := range []string{"missing", "usr", "../usr/bin/tool", ""} {
		if err := tree.Link("x", target); err == nil {
			t.Errorf("a link to %q was made", target)
		}
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	for _, path := range []string{"../x", "a/../b", strings.Repeat("n", 256), strings.Repeat("a/", 2048) + "a"} {
		if err := newTree().Add(path, node(File)); err == nil {
			t.Errorf("%.20q was taken", path)
		}
	}
}

// Each entry goes deeper through a link, so that no single path is long.
func TestDepthIsBoundedThroughLinks(t *testing.T) {
	tree := newTree()
	for i := 0; i < 2*depthMax; i++ {
		if err := tree.Add(fmt.Sprintf("l%d/d", i), node(Directory)); err != nil && i > 0 {
			return
		}
		target := fmt.Sprintf("l%d/d", i)
		if err := tree.Add(fmt.Sprintf("l%d", i+1), link(target)); err != nil {
			t.Fatal(err)
		}
	}
	t.Error("there is no bound")
}

func startable(t *testing.T, change func(*Tree)) error {
	t.Helper()
	tree := newTree()
	add(t, tree, "app", node(File))
	change(tree)
	return tree.MakeStartable()
}

func TestWhatGuestsNeedIsMade(t *testing.T) {
	tree := newTree()
	add(t, tree, "app", node(File))
	if err := tree.MakeStartable(); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]uint16{"proc": 0o755, "sys": 0o755, "dev": 0o755, "run": 0o755, "etc": 0o755, "tmp": 0o1777} {
		if made := at(tree, name); made == nil || made.Kind != Directory || made.Mode != mode {
			t.Errorf("/%s: %+v", name, made)
		}
	}
}

func TestWhatCannotStartIsRefused(t *testing.T) {
	for _, name := range []string{"proc", "sys", "dev", "run", "etc", "tmp"} {
		for _, broken := range []*Node{node(File), node(Fifo), link("nowhere"), link("app"), link(name)} {
			err := startable(t, func(tree *Tree) { add(t, tree, name, broken) })
			if err == nil || !strings.Contains(err.Error(), "/"+name) {
				t.Errorf("/%s as %v: %v", name, broken.Kind, err)
			}
		}
	}
	for _, name := range []string{"proc", "sys", "dev"} {
		if startable(t, func(tree *Tree) { add(t, tree, "there", node(Directory)); add(t, tree, name, link("there")) }) == nil {
			t.Errorf("/%s as a link was taken", name)
		}
	}
	for _, name := range []string{"run", "etc", "tmp"} {
		if err := startable(t, func(tree *Tree) { add(t, tree, "there", node(Directory)); add(t, tree, name, link("/there")) }); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsNoRootFileSystem(t *testing.T) {
	plain := node(File)
	plain.Mode = 0o644
	for words, paths := range map[string][]string{
		"is empty":                      {},
		"directory \"rootfs\"":          {"rootfs/bin/sh", "rootfs/etc/passwd"},
		"saved container image":         {"manifest.json", "blobs/sha256/x"},
		"no file in it may be executed": {"readme"},
	} {
		tree := newTree()
		for _, path := range paths {
			n := node(File)
			if path == "readme" {
				n = plain
			}
			add(t, tree, path, n)
		}
		if err := tree.MakeStartable(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%v: %v", paths, err)
		}
	}
}

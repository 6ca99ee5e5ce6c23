package tree

import "image-builder/internal/refusal"

const (
	anyExecutable = 0o111
	sharedTmp     = 0o1777
)

// MakeStartable creates the directories that every guest needs. It refuses a tree that could never start, and a tree
// without any program.
func (t *Tree) MakeStartable() error {
	if err := t.checkPrograms(); err != nil {
		return err
	}
	// The guest agent moves its own mounts there, so these must not be links.
	for _, name := range []string{"proc", "sys", "dev"} {
		if err := t.NeedDirectory(name, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{"run", "etc"} {
		if err := t.needReachable(name, 0o755); err != nil {
			return err
		}
	}
	return t.needReachable("tmp", sharedTmp)
}

// needReachable is like NeedDirectory, but also accepts a link to a directory.
func (t *Tree) needReachable(name string, mode uint16) error {
	child := t.Root.children[name]
	if child == nil || child.Kind != Symlink {
		return t.NeedDirectory(name, mode)
	}
	if _, err := t.directory([]string{name}, makeNothing); err != nil {
		return refusal.New("/%s of the root file system is a link to %s, which is no directory there", name, refusal.Quote(child.rare.Target)).
			WithHint("Make it a directory, or a link to one.")
	}
	return nil
}

// NeedDirectory creates a directory in the root if it is missing, and refuses anything else of that name.
func (t *Tree) NeedDirectory(name string, mode uint16) error {
	child := t.Root.children[name]
	if child == nil {
		t.Root.children[name] = t.newDirectory(mode)
		return nil
	}
	if child.Kind != Directory {
		return refusal.New("/%s of the root file system is a %s, and guests need a directory there", name, child.Kind).
			WithHint("Remove it: a missing directory is made.")
	}
	return nil
}

func (t *Tree) checkPrograms() error {
	top := t.Root.Children()
	if len(top) == 0 {
		return refusal.New("the root file system is empty")
	}
	if t.Root.Get("manifest.json") != nil && (t.Root.Get("blobs") != nil || t.Root.Get("repositories") != nil) {
		return refusal.New("this is a saved container image and not a root file system").
			WithHint("Make a container of it and send what `docker export` prints.")
	}
	if len(top) == 1 && top[0].Node.Kind == Directory && isRootLike(top[0].Node) {
		return refusal.New("the root file system is in the archive’s directory %s", refusal.Quote(top[0].Name)).
			WithHint("The archive must hold the root directory’s contents, as `tar -C rootfs .` or `docker export` makes it.")
	}
	hasProgram := false
	err := t.Each(func(node *Node) error {
		hasProgram = hasProgram || (node.Kind == File && node.Size > 0 && node.Mode&anyExecutable != 0)
		return nil
	})
	if err == nil && !hasProgram {
		return refusal.New("the root file system has no program: no file in it may be executed").
			WithHint("The archive must hold the root directory’s contents with their modes, as `tar -C rootfs .` or `docker export` makes it.")
	}
	return err
}

// isRootLike reports whether a directory looks like a root directory, not like /usr, /opt or others with programs.
func isRootLike(node *Node) bool {
	if node.Get("bin") == nil && node.Get("usr") == nil {
		return false
	}
	return node.Get("etc") != nil || node.Get("usr") != nil || node.Get("proc") != nil
}

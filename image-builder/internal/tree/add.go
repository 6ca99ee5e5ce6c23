package tree

import (
	"strings"

	"image-builder/internal/refusal"
)

// Maximum number of a file's names in ext4.
const linkCountMax = 65000

// Add puts a node at an entry's path. A later entry of the same name replaces the earlier one. Exception: a directory does
// not replace a link to a directory, so that an archive made of several layers does not break `/lib -> usr/lib`.
func (t *Tree) Add(path string, node *Node) error {
	names, err := Split(path)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return t.describeRoot(node)
	}
	parent, err := t.parent(path, names, makeNamed)
	if err != nil {
		return err
	}
	return t.put(parent, names, path, node)
}

// describeRoot sets only the root's time. Owner and mode stay as they are, so that every user of the guest can enter it.
func (t *Tree) describeRoot(node *Node) error {
	if node.Kind != Directory {
		return refusal.New("the archive says that the root directory is a %s", node.Kind)
	}
	t.Root.Seconds, t.Root.Nanoseconds = node.Seconds, node.Nanoseconds
	return nil
}

func (t *Tree) parent(path string, names []string, missing makes) (*Node, error) {
	parent, err := t.directory(names[:len(names)-1], missing)
	if err != nil {
		return nil, refusal.New("the archive has %s, whose directory cannot be reached: a part of the path %v", refusal.Quote(path), err)
	}
	return parent, nil
}

func (t *Tree) put(parent *Node, names []string, path string, node *Node) error {
	name := names[len(names)-1]
	old := parent.children[name]
	switch {
	case old == nil:
	case node.Kind == Directory && old.Kind == Directory:
		old.describe(node)
		return nil
	case node.Kind == Directory && old.Kind == Symlink:
		if _, err := t.directory(names, makeAll); err == nil {
			return nil
		}
	case old.Kind == Directory && len(old.children) > 0:
		return refusal.New("the archive replaces the directory %s, which is not empty, by a %s", refusal.Quote(path), node.Kind).
			WithHint("Leave one of the two out of the archive.")
	}
	if node.Kind == Directory {
		node.children = map[string]*Node{}
	}
	if old != nil {
		old.Links--
	}
	node.Links++
	parent.children[name] = node
	return nil
}

// describe sets the metadata of an existing directory from an entry.
func (n *Node) describe(other *Node) {
	n.Mode, n.UID, n.GID = other.Mode, other.UID, other.GID
	n.Seconds, n.Nanoseconds = other.Seconds, other.Nanoseconds
	n.rare = other.rare
}

// Link adds another name to a file.
func (t *Tree) Link(path, target string) error {
	names, err := Split(path)
	if err != nil {
		return err
	}
	targetNames, err := Split(target)
	if err != nil {
		return err
	}
	var node *Node
	if len(targetNames) > 0 {
		if parent, err := t.directory(targetNames[:len(targetNames)-1], makeNothing); err == nil {
			node = parent.children[targetNames[len(targetNames)-1]]
		}
	}
	switch {
	case node == nil:
		return refusal.New("the archive has a hard link %s to %s, which is not before it", refusal.Quote(path), refusal.Quote(target))
	case node.Kind == Directory || len(names) == 0:
		return refusal.New("the archive has a hard link %s to a directory", refusal.Quote(path))
	case node.Links >= linkCountMax:
		return refusal.New("the file %s has more than %d hard links", refusal.Quote(target), linkCountMax)
	}
	parent, err := t.parent(path, names, makeNamed)
	if err != nil {
		return err
	}
	if parent.children[names[len(names)-1]] == node {
		return nil
	}
	return t.put(parent, names, strings.Join(names, "/"), node)
}

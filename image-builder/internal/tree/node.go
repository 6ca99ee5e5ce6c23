// Package tree is a root file system in memory, as the entries of an archive describe it one after another. It follows
// links as a guest would that has the tree as its root directory, so no name can lead out of it. It never touches a file of
// the host.
package tree

import (
	"sort"
	"time"
)

// Kind is what a node is.
type Kind uint8

// The kinds of nodes.
const (
	Directory Kind = iota
	File
	Symlink
	CharDevice
	BlockDevice
	Fifo
	Socket
)

func (k Kind) String() string {
	return [...]string{"directory", "file", "symbolic link", "device", "device", "named pipe", "socket"}[k]
}

// BlockBytes is the unit of file contents, in the spool and in the image.
const BlockBytes = 4096

// Extent says that Count blocks of a file from block File on are in the spool from block Spool on. What no extent covers
// is a hole.
type Extent struct {
	File, Spool, Count uint32
}

// Attribute is an extended attribute, its name with the namespace.
type Attribute struct {
	Name  string
	Value []byte
}

// Rare is what few nodes have.
type Rare struct {
	Target       string
	Major, Minor uint32
	Attributes   []Attribute
}

// Node is one inode. A file with several names is one node.
type Node struct {
	Kind Kind
	// Mode is the permission bits with set-user-id, set-group-id and sticky.
	Mode     uint16
	UID, GID uint32
	// Links counts names in directories; directories have one, the root none.
	Links       uint32
	Nanoseconds uint32
	// Seconds since 1970.
	Seconds int64
	Size    int64
	Content []Extent
	// Inode is the number that the file system gives it.
	Inode    uint32
	rare     *Rare
	children map[string]*Node
}

// Rare returns what few nodes have; it must not be changed.
func (n *Node) Rare() Rare {
	if n.rare == nil {
		return Rare{}
	}
	return *n.rare
}

// SetRare keeps what few nodes have.
func (n *Node) SetRare(rare Rare) {
	n.rare = &rare
}

// Child is an entry of a directory.
type Child struct {
	Name string
	Node *Node
}

// Children lists a directory by name.
func (n *Node) Children() []Child {
	list := make([]Child, 0, len(n.children))
	for name, node := range n.children {
		list = append(list, Child{name, node})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Len is the number of a directory's entries.
func (n *Node) Len() int { return len(n.children) }

// Get returns the entry of this name, or nil.
func (n *Node) Get(name string) *Node { return n.children[name] }

// Tree is a root directory with all that is below it.
type Tree struct {
	Root *Node
	// Implied counts the directories that no entry describes.
	Implied int
	now     time.Time
}

// New returns a tree with an empty root directory. Directories that no entry describes get the time now.
func New(now time.Time) *Tree {
	tree := &Tree{now: now}
	tree.Root = tree.newDirectory(0o755)
	tree.Root.Links = 0
	return tree
}

func (t *Tree) newDirectory(mode uint16) *Node {
	return &Node{
		Kind:     Directory,
		Mode:     mode,
		Links:    1,
		Seconds:  t.now.Unix(),
		children: map[string]*Node{},
	}
}

// Each calls visit for every node once, directories before what they hold.
func (t *Tree) Each(visit func(*Node) error) error {
	seen := map[*Node]bool{}
	var walk func(*Node) error
	walk = func(node *Node) error {
		if node.Links > 1 {
			if seen[node] {
				return nil
			}
			seen[node] = true
		}
		if err := visit(node); err != nil {
			return err
		}
		for _, child := range node.Children() {
			if err := walk(child.Node); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(t.Root)
}

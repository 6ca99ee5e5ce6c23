// Package tree builds a root file system in memory from the entries of an archive. It follows links as a guest with this
// root directory would, so no name leads out of the tree. It never accesses files of the host.
package tree

import (
	"sort"
	"time"
)

// Kind is the file type of a node.
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

// BlockBytes is the block size of file contents, in the spool and in the image.
const BlockBytes = 4096

// Extent maps Count blocks of a file, from block File, to blocks of the spool, from block Spool. Blocks without an extent
// are holes.
type Extent struct {
	File, Spool, Count uint32
}

// Attribute is an extended attribute. The name includes the namespace.
type Attribute struct {
	Name  string
	Value []byte
}

// Rare holds the data that only few nodes have, to save memory.
type Rare struct {
	Target       string
	Major, Minor uint32
	Attributes   []Attribute
}

// Node is one inode. A file with several names is one node.
type Node struct {
	Kind Kind
	// Mode holds the permission bits, set-user-id, set-group-id and sticky included.
	Mode     uint16
	UID, GID uint32
	// Links counts the names of a node. Directories have one, the root none.
	Links       uint32
	Nanoseconds uint32
	// Seconds since 1970.
	Seconds int64
	Size    int64
	Content []Extent
	// Inode is its number in the file system.
	Inode    uint32
	rare     *Rare
	children map[string]*Node
}

// Rare returns the node's rare data, which must not be changed.
func (n *Node) Rare() Rare {
	if n.rare == nil {
		return Rare{}
	}
	return *n.rare
}

// SetRare sets the node's rare data.
func (n *Node) SetRare(rare Rare) {
	n.rare = &rare
}

// Child is one entry of a directory.
type Child struct {
	Name string
	Node *Node
}

// Children lists a directory, ordered by name.
func (n *Node) Children() []Child {
	list := make([]Child, 0, len(n.children))
	for name, node := range n.children {
		list = append(list, Child{name, node})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Len returns the number of a directory's entries.
func (n *Node) Len() int { return len(n.children) }

// Get returns the entry with this name, or nil.
func (n *Node) Get(name string) *Node { return n.children[name] }

// Tree is a root directory and everything below it.
type Tree struct {
	Root *Node
	// Implied counts the directories that have no entry of their own.
	Implied int
	now     time.Time
}

// New returns a tree with an empty root directory. Directories without an entry of their own get the current time.
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

// Each calls visit once for every node, for directories before their children.
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

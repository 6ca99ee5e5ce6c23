package tree

import (
	"errors"
	"strings"

	"image-builder/internal/refusal"
)

const (
	nameBytesMax = 255
	// What the kernel takes, without the NUL at the end.
	pathBytesMax = 4095
	// Directories in one another, as such a path can name them.
	depthMax = pathBytesMax / 2
	// As in the kernel.
	linksMax = 40
	// Parts of a path and of the links in it together.
	stepsMax = 4096
)

// Split returns the parts of an archive's name below the root. Names that would lead out of it are refused.
func Split(path string) ([]string, error) {
	var names []string
	bytes := 0
	for _, name := range strings.Split(path, "/") {
		switch {
		case name == "" || name == ".":
			continue
		case name == "..":
			return nil, refusal.New("the archive has a name that contains '..': %s", refusal.Quote(path))
		case len(name) > nameBytesMax:
			return nil, refusal.New("a file name of the archive has more than %d bytes: %s", nameBytesMax, refusal.Quote(name))
		case strings.IndexByte(name, 0) >= 0:
			return nil, refusal.New("a file name of the archive contains NUL: %s", refusal.Quote(name))
		}
		names = append(names, name)
		if bytes += len("/") + len(name); bytes > pathBytesMax {
			return nil, refusal.New("the root file system has a path of more than %d bytes: %s", pathBytesMax, refusal.Quote(path))
		}
	}
	return names, nil
}

var (
	errMissing      = errors.New("does not exist")
	errNotDirectory = errors.New("is not a directory")
	errLoop         = errors.New("goes through too many links")
	errDeep         = errors.New("is too deep")
)

// make says which missing directories a walk makes.
type makes uint8

const (
	makeNothing makes = iota
	// makeNamed: those that the name itself has.
	makeNamed
	// makeAll: also those that links lead to.
	makeAll
)

// step is a part of a path that is still to be walked.
type step struct {
	name     string
	fromLink bool
}

// directory walks to a directory, through links as the kernel does: `..` of the root is the root.
func (t *Tree) directory(names []string, missing makes) (*Node, error) {
	pending := pushed(nil, names, false)
	stack := []*Node{t.Root}
	links, steps := 0, 0
	for len(pending) > 0 {
		next := pending[len(pending)-1]
		pending = pending[:len(pending)-1]
		here := stack[len(stack)-1]
		if steps++; steps > stepsMax {
			return nil, errLoop
		}
		switch next.name {
		case "", ".":
			continue
		case "..":
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
			continue
		}
		child := here.children[next.name]
		if child == nil {
			if missing == makeNothing || (next.fromLink && missing != makeAll) || len(next.name) > nameBytesMax {
				return nil, errMissing
			}
			child = t.newDirectory(0o755)
			here.children[next.name] = child
			t.Implied++
		}
		switch child.Kind {
		case Directory:
			if len(stack) > depthMax {
				return nil, errDeep
			}
			stack = append(stack, child)
		case Symlink:
			if links++; links > linksMax {
				return nil, errLoop
			}
			target := child.rare.Target
			if strings.HasPrefix(target, "/") {
				stack = stack[:1]
			}
			pending = pushed(pending, strings.Split(target, "/"), true)
		default:
			return nil, errNotDirectory
		}
	}
	return stack[len(stack)-1], nil
}

// pushed puts names before what is pending, whose end is next.
func pushed(pending []step, names []string, fromLink bool) []step {
	for i := len(names) - 1; i >= 0; i-- {
		pending = append(pending, step{names[i], fromLink})
	}
	return pending
}

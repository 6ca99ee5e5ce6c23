package tree

import (
	"errors"
	"strings"

	"image-builder/internal/refusal"
)

const (
	nameBytesMax = 255
	// The kernel's limit, without the final NUL.
	pathBytesMax = 4095
	// Maximum depth, which a path of that length can just name.
	depthMax = pathBytesMax / 2
	// The kernel's limit of links in one path.
	linksMax = 40
	// Limit of the parts of a path and of all links in it.
	stepsMax = 4096
)

// Split returns the parts of an archive's name below the root. It refuses names that lead out of the root.
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

// make selects the missing directories that a walk creates.
type makes uint8

const (
	makeNothing makes = iota
	// makeNamed: directories in the name itself.
	makeNamed
	// makeAll: also directories that links point to.
	makeAll
)

// step is a part of a path that has not been walked yet.
type step struct {
	name     string
	fromLink bool
}

// directory walks to a directory and follows links as the kernel does; `..` of the root is the root.
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

// pushed adds names to the pending stack, whose last element is walked next.
func pushed(pending []step, names []string, fromLink bool) []step {
	for i := len(names) - 1; i >= 0; i-- {
		pending = append(pending, step{names[i], fromLink})
	}
	return pending
}

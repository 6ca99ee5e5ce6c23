package ext4

import "image-builder/internal/tree"

const (
	mib      = 1 << 20
	groupMib = 128
	// SpareMib is room for the journal and tables, and for a guest whose disk is no larger than the image.
	spareMib = 96
	stepMib  = 64
	// One group's worth at one inode for 16 KiB; each group added by growing gets as many.
	inodesPerGroupMin = 8192
	// One bitmap block has a bit for each.
	inodesPerGroupMax = 8 * blockBytes
)

// Size is how large a file system must be.
type Size struct {
	MiB int64
	// Inodes in all.
	Inodes int64
	// LargestDirectory is in blocks.
	LargestDirectory int64
}

// Plan finds the size for a tree: its content and 3 % for maps of blocks and bitmaps, and a quarter of the inodes free for
// what the guest adds.
func Plan(files *tree.Tree) (Size, error) {
	var blocks, nodes, largest int64
	err := files.Each(func(node *tree.Node) error {
		nodes++
		for _, extent := range node.Content {
			blocks += int64(extent.Count)
		}
		blocks += int64(len(node.Content) / (extentsInBlock / 2))
		if rare := node.Rare(); len(rare.Target) >= mapBytes {
			blocks++
		} else if len(rare.Attributes) > 0 {
			blocks++
		}
		if node.Kind == tree.Directory {
			size := directoryBlocks(node)
			blocks += size
			if size > largest {
				largest = size
			}
		}
		return nil
	})
	size := planned(blocks, nodes)
	size.LargestDirectory = largest
	return size, err
}

func directoryBlocks(node *tree.Node) int64 {
	bytes := 0
	for _, child := range node.Children() {
		bytes += entryLength(child.Name)
	}
	// No block wastes as much as the longest entry.
	return int64(bytes/(usableBytes-entryHeaderBytes-256)) + 1
}

func planned(blocks, nodes int64) Size {
	content := blocks*blockBytes*103/100 + nodes*inodeBytes*4/3
	byContent := content/mib + 1 + spareMib
	inodes := nodes * 4 / 3
	byInodes := (inodes + inodesPerGroupMax - 1) / inodesPerGroupMax * groupMib
	if byInodes > byContent {
		byContent = byInodes
	}
	size := (byContent + stepMib - 1) / stepMib * stepMib
	groups := (size + groupMib - 1) / groupMib
	perGroup := (inodes + groups - 1) / groups
	if perGroup < inodesPerGroupMin {
		perGroup = inodesPerGroupMin
	}
	if perGroup > inodesPerGroupMax {
		perGroup = inodesPerGroupMax
	}
	return Size{MiB: size, Inodes: groups * perGroup}
}

package ext4

import "image-builder/internal/tree"

const (
	mib      = 1 << 20
	groupMib = 128
	// SpareMib is space for the journal and tables, and for the files of a guest whose disk is not larger than the image.
	spareMib = 96
	stepMib  = 64
	// Inodes of one group, one for each 16 KiB. Groups added by growing have the same number.
	inodesPerGroupMin = 8192
	// One bitmap block has one bit for each.
	inodesPerGroupMax = 8 * blockBytes
)

// Size is how large a file system must be.
type Size struct {
	MiB int64
	// Total number of inodes.
	Inodes int64
	// LargestDirectory is the size of the largest directory in blocks.
	LargestDirectory int64
}

// Plan computes the size for a tree: its content, 3 % for block maps and bitmaps, and a quarter more inodes for the files
// that the guest adds.
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
	// The unused rest of a block is shorter than the longest entry.
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

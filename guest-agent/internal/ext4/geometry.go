package ext4

// geometry is where a file system of a given size keeps its metadata. Group descriptors fill whole blocks:
// the first `classic` of these follow the superblock and its copies; each later one is in the first group
// that it describes, with copies in the second and the last (`meta_bg`), so that a file system grows without
// moving anything.
type geometry struct {
	blockBytes, blocksPerGroup, inodesPerGroup, tableBlocks uint64
	descriptorBytes                                         uint64
	blocks                                                  uint64
	classic                                                 uint64
	isMeta                                                  bool
}

// geometry requires a superblock that has passed checkGrowable.
func (s Superblock) geometry() geometry {
	g := geometry{
		blockBytes:      s.BlockBytes(),
		blocksPerGroup:  uint64(s.word(blocksPerGroupAt)),
		inodesPerGroup:  uint64(s.word(inodesPerGroupAt)),
		descriptorBytes: uint64(s.descriptorBytes()),
		blocks:          s.Blocks(),
		isMeta:          s.word(incompatibleAt)&incompatMetaBg != 0,
	}
	g.tableBlocks = ceil(g.inodesPerGroup*uint64(s.short(inodeBytesAt)), g.blockBytes)
	if g.isMeta {
		g.classic = uint64(s.word(firstMetaGroupAt))
	} else {
		g.classic = ceil(g.groups(), g.perBlock())
	}
	return g
}

// grownTo is the geometry of the file system at the given number of blocks.
func (g geometry) grownTo(blocks uint64) geometry {
	g.blocks = blocks
	g.isMeta = g.isMeta || ceil(g.groups(), g.perBlock()) > g.classic
	return g
}

func (g geometry) groups() uint64 { return ceil(g.blocks, g.blocksPerGroup) }

// perBlock is the number of descriptors in a block.
func (g geometry) perBlock() uint64 { return g.blockBytes / g.descriptorBytes }

// first is the number of the group's first block.
func (g geometry) first(group uint64) uint64 { return group * g.blocksPerGroup }

// length is the number of blocks in the group; the last group may have fewer.
func (g geometry) length(group uint64) uint64 {
	if rest := g.blocks - g.first(group); rest < g.blocksPerGroup {
		return rest
	}
	return g.blocksPerGroup
}

// hasSuper: groups 0, 1 and the powers of 3, 5 and 7 keep a copy of the superblock.
func hasSuper(group uint64) bool {
	if group <= 1 {
		return true
	}
	for _, base := range []uint64{3, 5, 7} {
		power := base
		for power < group {
			power *= base
		}
		if power == group {
			return true
		}
	}
	return false
}

// describing is the number of blocks at the group's beginning that hold a superblock and descriptors.
func (g geometry) describing(group uint64) uint64 {
	super := uint64(0)
	if hasSuper(group) {
		super = 1
	}
	if group/g.perBlock() < g.classic {
		return super * (1 + g.classic)
	}
	if position := group % g.perBlock(); position <= 1 || position == g.perBlock()-1 {
		return super + 1
	}
	return super
}

// places returns the blocks that hold the descriptor block with this number: the original, then its copies.
func (g geometry) places(number uint64) []uint64 {
	var places []uint64
	if number < g.classic {
		for group := uint64(0); group < g.groups() && group < g.classic*g.perBlock(); group++ {
			if hasSuper(group) {
				places = append(places, g.first(group)+1+number)
			}
		}
		return places
	}
	begin := number * g.perBlock()
	for _, group := range []uint64{begin, begin + 1, begin + g.perBlock() - 1} {
		if group < g.groups() {
			// The last of the group's metadata blocks.
			places = append(places, g.first(group)+g.describing(group)-1)
		}
	}
	return places
}

func ceil(value, unit uint64) uint64 { return (value + unit - 1) / unit }

package ext4

import (
	"sort"
	"strings"

	"image-builder/internal/tree"
)

const (
	attributeMagic       = 0xea020000
	attributeHeaderBytes = 32
	attributeEntryBytes  = 16
)

// attribute is an extended attribute in ext4's form, with a number for its namespace.
type attribute struct {
	index byte
	name  string
	value []byte
}

var namespaceIndexes = map[string]byte{"user.": 1, "trusted.": 4, "security.": 6}

func attributesOf(node *tree.Node) []attribute {
	var list []attribute
	for _, each := range node.Rare().Attributes {
		if index, isACL := aclIndexes[each.Name]; isACL {
			list = append(list, attribute{index, "", diskACL(each.Value)})
			continue
		}
		namespace := each.Name[:strings.IndexByte(each.Name, '.')+1]
		list = append(list, attribute{namespaceIndexes[namespace], each.Name[len(namespace):], each.Value})
	}
	// The kernel searches attributes in this order.
	sort.Slice(list, func(a, b int) bool {
		one, other := list[a], list[b]
		switch {
		case one.index != other.index:
			return one.index < other.index
		case len(one.name) != len(other.name):
			return len(one.name) < len(other.name)
		}
		return one.name < other.name
	})
	return list
}

func rounded(length int) int { return (length + 3) &^ 3 }

// putAttributes writes entries from the front and values from the back; false if they do not fit. Offsets are relative to
// `base`. The entries begin at `first`.
func putAttributes(area []byte, first int, list []attribute, withHashes bool) (hash uint32, fits bool) {
	at, end := first, len(area)
	for _, each := range list {
		size := rounded(len(each.value))
		// Four zero bytes end the entries.
		if at+attributeEntryBytes+rounded(len(each.name))+4 > end-size {
			return 0, false
		}
		end -= size
		copy(area[end:], each.value)
		area[at], area[at+1] = byte(len(each.name)), each.index
		if size > 0 {
			put16(area, at+2, uint32(end))
		}
		put32(area, at+8, uint32(len(each.value)))
		if withHashes {
			entryHash := hashOf(each, area[end:end+size])
			put32(area, at+12, entryHash)
			hash = hash<<16 ^ hash>>16 ^ entryHash
		}
		copy(area[at+attributeEntryBytes:], each.name)
		at += attributeEntryBytes + rounded(len(each.name))
	}
	return hash, true
}

func hashOf(each attribute, padded []byte) uint32 {
	var hash uint32
	for _, c := range []byte(each.name) {
		hash = hash<<5 ^ hash>>27 ^ uint32(c)
	}
	for at := 0; at < len(padded); at += 4 {
		hash = hash<<16 ^ hash>>16 ^ get32(padded, at)
	}
	return hash
}

// setAttributes writes attributes into the inode if they fit, otherwise into a block.
func (v *volume) setAttributes(i *inode, list []attribute) error {
	if len(list) == 0 {
		return nil
	}
	inside := make([]byte, inodeBytes-attributesAt-4)
	if _, fits := putAttributes(inside, 0, list, false); fits {
		put32(i.data, attributesAt, attributeMagic)
		copy(i.data[attributesAt+4:], inside)
		return nil
	}
	block := make([]byte, blockBytes)
	hash, fits := putAttributes(block, attributeHeaderBytes, list, true)
	if !fits {
		return errFull
	}
	number, err := v.allocateBlock()
	if err != nil {
		return err
	}
	put32(block, 0, attributeMagic)
	put32(block, 4, 1)
	put32(block, 8, 1)
	put32(block, 12, hash)
	where := make([]byte, 8)
	put64(where, 0, uint64(number))
	put32(block, 16, checksum(checksum(v.seed, where), block))
	put32(i.data, 0x68, number)
	i.blocks++
	return v.writeBlock(number, block)
}

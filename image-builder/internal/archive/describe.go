package archive

import (
	"archive/tar"
	"math"
	"sort"
	"strings"

	"image-builder/internal/refusal"
	"image-builder/internal/tree"
)

const (
	// Entry types that only GNU tar writes.
	volumeLabel    = 'V'
	gnuDirectory   = 'D'
	contiguousFile = '7'

	attributePrefix   = "SCHILY.xattr."
	attributeBytesMax = 4000
	majorMax          = 1<<12 - 1
	minorMax          = 1<<20 - 1
	targetBytesMax    = 4095
	// Range of ext4's 34-bit times; 2^31 seconds of it are before 1970.
	secondsMin = math.MinInt32
	secondsMax = 1<<34 + math.MinInt32 - 1
)

// attributeNamespaces are the namespaces that are kept. Others, such as those of macOS, are dropped.
var attributeNamespaces = []string{"user.", "trusted.", "security."}

func kindOf(header *tar.Header) (tree.Kind, error) {
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeGNUSparse, contiguousFile:
		// Old tar formats mark a directory by a trailing slash.
		if strings.HasSuffix(header.Name, "/") && header.Size == 0 {
			return tree.Directory, nil
		}
		return tree.File, nil
	case tar.TypeDir, gnuDirectory:
		return tree.Directory, nil
	case tar.TypeSymlink:
		return tree.Symlink, nil
	case tar.TypeChar:
		return tree.CharDevice, nil
	case tar.TypeBlock:
		return tree.BlockDevice, nil
	case tar.TypeFifo:
		return tree.Fifo, nil
	}
	return 0, refusal.New("the archive has an entry of the unknown kind %q: %s", header.Typeflag, refusal.Quote(header.Name))
}

func describe(header *tar.Header) (*tree.Node, error) {
	kind, err := kindOf(header)
	if err != nil {
		return nil, err
	}
	if !isID(header.Uid) || !isID(header.Gid) {
		return nil, refusal.New("%s belongs to user %d and group %d, which no Linux system has", refusal.Quote(header.Name), header.Uid, header.Gid)
	}
	node := &tree.Node{
		Kind:        kind,
		Mode:        uint16(header.Mode & 0o7777),
		UID:         uint32(header.Uid),
		GID:         uint32(header.Gid),
		Seconds:     within(header.ModTime.Unix(), secondsMin, secondsMax),
		Nanoseconds: uint32(header.ModTime.Nanosecond()),
	}
	list, err := addACLs(header, node, attributes(header.PAXRecords))
	if err != nil {
		return nil, err
	}
	rare := tree.Rare{Attributes: list}
	bytes := 0
	for _, attribute := range rare.Attributes {
		bytes += len(attribute.Name) + len(attribute.Value) + 24
	}
	switch {
	case bytes > attributeBytesMax:
		return nil, refusal.New("the extended attributes of %s take more than %d bytes", refusal.Quote(header.Name), attributeBytesMax)
	case kind == tree.Symlink:
		node.Mode, rare.Target = 0o777, header.Linkname
		if err := checkTarget(header); err != nil {
			return nil, err
		}
	case kind == tree.CharDevice || kind == tree.BlockDevice:
		if header.Devmajor < 0 || header.Devmajor > majorMax || header.Devminor < 0 || header.Devminor > minorMax {
			return nil, refusal.New("the device %s has the number %d, %d, which Linux does not have", refusal.Quote(header.Name), header.Devmajor, header.Devminor)
		}
		rare.Major, rare.Minor = uint32(header.Devmajor), uint32(header.Devminor)
	}
	if rare.Target != "" || len(rare.Attributes) > 0 || rare.Major+rare.Minor > 0 {
		node.SetRare(rare)
	}
	return node, nil
}

func checkTarget(header *tar.Header) error {
	if header.Linkname == "" || len(header.Linkname) > targetBytesMax || strings.IndexByte(header.Linkname, 0) >= 0 {
		return refusal.New("the link %s has a target that no link can have", refusal.Quote(header.Name))
	}
	return nil
}

func isID(id int) bool { return id >= 0 && int64(id) < math.MaxUint32 }

func within(value, least, most int64) int64 {
	if value < least {
		return least
	}
	if value > most {
		return most
	}
	return value
}

func attributes(records map[string]string) []tree.Attribute {
	var list []tree.Attribute
	for key, value := range records {
		name := strings.TrimPrefix(key, attributePrefix)
		if name == key {
			continue
		}
		for _, namespace := range attributeNamespaces {
			if strings.HasPrefix(name, namespace) && len(name) > len(namespace) && len(name) <= 255 {
				list = append(list, tree.Attribute{Name: name, Value: []byte(value)})
			}
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

package archive

import (
	"archive/tar"
	"encoding/binary"
	"math"
	"sort"

	"image-builder/internal/refusal"
	"image-builder/internal/tree"
)

// Access control lists come as text (tar --acls, with names) or as the kernel's attribute (tar --xattrs). Both become the
// attribute.
const (
	aclPrefix    = "SCHILY.acl."
	aclAttribute = "system.posix_acl_"
	aclVersion   = 2
	aclWithoutID = math.MaxUint32
	aclHeader    = 4
	aclEntry     = 8
)

// Tags as the kernel numbers them; entries are in the order of their tags, and of their ids.
const (
	aclOwner      = 0x01
	aclUser       = 0x02
	aclOwnerGroup = 0x04
	aclGroup      = 0x08
	aclMask       = 0x10
	aclOther      = 0x20
)

type aclRule struct {
	tag, permissions uint16
	id               uint32
}

// addACLs appends the node's access control lists to its attributes. Its mode becomes what the list says, as the kernel
// keeps it; a list that says no more than the mode is left out.
func addACLs(header *tar.Header, node *tree.Node, list []tree.Attribute) ([]tree.Attribute, error) {
	for _, kind := range []string{"access", "default"} {
		rules, err := aclOf(header.PAXRecords, kind)
		switch {
		case err != "":
		case len(rules) == 0:
			continue
		case node.Kind == tree.Symlink, kind == "default" && node.Kind != tree.Directory:
			err = "a " + node.Kind.String() + " has none of this kind"
		default:
			err = checkACL(rules)
		}
		if err != "" {
			return nil, refusal.New("the %s ACL of %s: %s", kind, refusal.Quote(header.Name), err).
				WithHint("Make the archive with `tar --xattrs`, which writes numbers, or without ACLs.")
		}
		if kind == "access" {
			node.Mode = node.Mode&^0o777 | modeOf(rules)
			if len(rules) == 3 {
				continue
			}
		}
		list = append(list, tree.Attribute{Name: aclAttribute + kind, Value: encodeACL(rules)})
	}
	return list, nil
}

// aclOf returns the rules in order, or why they cannot be read. The attribute has numbers where the text may have names.
func aclOf(records map[string]string, kind string) (rules []aclRule, err string) {
	if value, has := records[attributePrefix+aclAttribute+kind]; has {
		rules, err = parseACLAttribute([]byte(value))
	} else {
		rules, err = parseACLText(records[aclPrefix+kind])
	}
	sort.SliceStable(rules, func(i, j int) bool {
		return rules[i].tag < rules[j].tag || rules[i].tag == rules[j].tag && rules[i].id < rules[j].id
	})
	return rules, err
}

func parseACLAttribute(value []byte) ([]aclRule, string) {
	if len(value) < aclHeader || (len(value)-aclHeader)%aclEntry != 0 || binary.LittleEndian.Uint32(value) != aclVersion {
		return nil, "the attribute has an unknown form"
	}
	var rules []aclRule
	for at := aclHeader; at < len(value); at += aclEntry {
		tag, permissions := binary.LittleEndian.Uint16(value[at:]), binary.LittleEndian.Uint16(value[at+2:])
		id := binary.LittleEndian.Uint32(value[at+4:])
		if tag != aclUser && tag != aclGroup {
			id = aclWithoutID
		}
		rules = append(rules, aclRule{tag, permissions, id})
	}
	return rules, ""
}

// checkACL says why the kernel would refuse the rules; an ext4 file system with such a list cannot be used.
func checkACL(rules []aclRule) string {
	counts := map[uint16]int{}
	for i, rule := range rules {
		counts[rule.tag]++
		isNamed := rule.tag == aclUser || rule.tag == aclGroup
		switch {
		case rule.permissions > 7, isNamed == (rule.id == aclWithoutID):
			return "it has an entry that Linux does not have"
		case i > 0 && isNamed && rules[i-1].tag == rule.tag && rules[i-1].id == rule.id:
			return "it has two entries for one id"
		}
	}
	named := counts[aclUser] + counts[aclGroup]
	known := named + counts[aclMask] + 3
	if counts[aclOwner] != 1 || counts[aclOwnerGroup] != 1 || counts[aclOther] != 1 || counts[aclMask] > 1 ||
		named > 0 && counts[aclMask] == 0 || known != len(rules) {
		return "it lacks an entry, or has one twice"
	}
	return ""
}

// modeOf is the permission bits: those of the mask stand for the group, if there is one.
func modeOf(rules []aclRule) uint16 {
	bits := map[uint16]uint16{}
	for _, rule := range rules {
		bits[rule.tag] = rule.permissions
	}
	group, hasMask := bits[aclMask]
	if !hasMask {
		group = bits[aclOwnerGroup]
	}
	return bits[aclOwner]<<6 | group<<3 | bits[aclOther]
}

func encodeACL(rules []aclRule) []byte {
	value := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, rule := range rules {
		value = binary.LittleEndian.AppendUint16(value, rule.tag)
		value = binary.LittleEndian.AppendUint16(value, rule.permissions)
		value = binary.LittleEndian.AppendUint32(value, rule.id)
	}
	return value
}

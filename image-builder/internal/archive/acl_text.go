package archive

import (
	"strconv"
	"strings"

	"image-builder/internal/refusal"
)

// parseACLText reads `user::rw-,user:1000:r--,mask::rw-`; lines may take the place of commas, and `#` begins a comment.
// After the permissions a number may follow, which is the id of the name.
func parseACLText(text string) ([]aclRule, string) {
	var rules []aclRule
	for _, line := range strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == '\n' }) {
		line = strings.TrimSpace(strings.SplitN(line, "#", 2)[0])
		if line == "" {
			continue
		}
		fields := strings.Split(line, ":")
		if len(fields) < 3 || len(fields) > 4 {
			return nil, "not an entry: " + refusal.Quote(line)
		}
		rule, err := aclRuleOf(fields)
		if err != "" {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, ""
}

func aclRuleOf(fields []string) (rule aclRule, err string) {
	rule = aclRule{tag: aclTags[fields[0]][0], id: aclWithoutID}
	for i, c := range fields[2] {
		at := strings.IndexRune("rwx", c)
		if c != '-' && at < 0 || i > 2 {
			return rule, "not an entry: " + refusal.Quote(strings.Join(fields, ":"))
		}
		if at >= 0 {
			rule.permissions |= 4 >> at
		}
	}
	name := fields[1]
	if name == "" {
		return rule, ""
	}
	number := name
	if len(fields) == 4 {
		number = fields[3]
	} else if name == "root" {
		number = "0"
	}
	id, failure := strconv.ParseUint(number, 10, 32)
	if failure != nil {
		return rule, "it names " + refusal.Quote(name) + " without a number"
	}
	return aclRule{aclTags[fields[0]][1], rule.permissions, uint32(id)}, ""
}

// aclTags are the tags without and with a name; 0 is none.
var aclTags = map[string][2]uint16{
	"user": {aclOwner, aclUser}, "u": {aclOwner, aclUser},
	"group": {aclOwnerGroup, aclGroup}, "g": {aclOwnerGroup, aclGroup},
	"mask": {aclMask, 0}, "m": {aclMask, 0},
	"other": {aclOther, 0}, "o": {aclOther, 0},
}

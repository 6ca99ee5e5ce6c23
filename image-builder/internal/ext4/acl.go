package ext4

import "encoding/binary"

// Access control lists are attributes without a name, each with an index of its own, in a shorter form than the kernel
// shows them: another version, and ids only where there are some.
const (
	aclAccessIndex  = 2
	aclDefaultIndex = 3
	aclDiskVersion  = 1
	aclHeaderBytes  = 4
	aclEntryBytes   = 8
	aclTagUser      = 0x02
	aclTagGroup     = 0x08
)

var aclIndexes = map[string]byte{
	"system.posix_acl_access":  aclAccessIndex,
	"system.posix_acl_default": aclDefaultIndex,
}

// diskACL converts a list from the form of the attribute `system.posix_acl_access`.
func diskACL(value []byte) []byte {
	disk := binary.LittleEndian.AppendUint32(nil, aclDiskVersion)
	for at := aclHeaderBytes; at+aclEntryBytes <= len(value); at += aclEntryBytes {
		size := aclEntryBytes
		if tag := get16(value, at); tag != aclTagUser && tag != aclTagGroup {
			size = aclEntryBytes / 2
		}
		disk = append(disk, value[at:at+size]...)
	}
	return disk
}

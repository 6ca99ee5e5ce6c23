package files

import (
	"bytes"
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// The format of an archive's headers: ustar, and before it a pax header with what ustar cannot say. Go's archive/tar
// reads sparse files but does not write them, therefore this is here.
const tarBlockBytes = 512

type tarHeader struct {
	name, link           string
	kind                 byte
	mode                 uint32
	uid, gid             uint32
	size                 int64
	seconds, fraction    int64
	devMajor, devMinor   uint32
	records              map[string]string
	ownerName, groupName string
}

// encode makes the blocks of a header.
func (h *tarHeader) encode() []byte {
	records := map[string]string{}
	for key, value := range h.records {
		records[key] = value
	}
	name := h.name
	if !fits(name, 100) {
		records["path"] = name
		name = shortened(name, 100)
	}
	link := h.link
	if !fits(link, 100) {
		records["linkpath"] = link
		link = shortened(link, 100)
	}
	records["mtime"] = decimalTime(h.seconds, h.fraction)
	uid := recordIfLarge(records, "uid", int64(h.uid), 1<<21)
	gid := recordIfLarge(records, "gid", int64(h.gid), 1<<21)
	size := recordIfLarge(records, "size", h.size, 1<<33)
	var out bytes.Buffer
	payload := encodeRecords(records)
	pax := tarHeader{name: "PaxHeaders/" + shortened(baseOf(name), 80), kind: 'x', mode: 0o644, size: int64(len(payload))}
	out.Write(pax.block(pax.name, "", 0, 0, pax.size))
	out.WriteString(payload)
	out.Write(make([]byte, padding(int64(len(payload)))))
	out.Write(h.block(name, link, uid, gid, size))
	return out.Bytes()
}

func recordIfLarge(records map[string]string, key string, value, limit int64) int64 {
	if value < limit {
		return value
	}
	records[key] = strconv.FormatInt(value, 10)
	return 0
}

func (h *tarHeader) block(name, link string, uid, gid, size int64) []byte {
	block := make([]byte, tarBlockBytes)
	copy(block[0:100], name)
	octal(block[100:108], int64(h.mode))
	octal(block[108:116], uid)
	octal(block[116:124], gid)
	octal(block[124:136], size)
	seconds := h.seconds
	if seconds < 0 || seconds >= 1<<33 {
		seconds = 0
	}
	octal(block[136:148], seconds)
	block[156] = h.kind
	copy(block[157:257], link)
	copy(block[257:265], "ustar\x0000")
	copy(block[265:296], shortened(h.ownerName, 31))
	copy(block[297:328], shortened(h.groupName, 31))
	octal(block[329:337], int64(h.devMajor))
	octal(block[337:345], int64(h.devMinor))
	// The sum counts its own field as spaces.
	copy(block[148:156], "        ")
	var sum int64
	for _, b := range block {
		sum += int64(b)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return block
}

func octal(field []byte, value int64) {
	copy(field, fmt.Sprintf("%0*o\x00", len(field)-1, value))
}

func fits(text string, limit int) bool {
	if len(text) > limit {
		return false
	}
	for i := 0; i < len(text); i++ {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// shortened gives readers that know no pax header a name of ASCII.
func shortened(text string, limit int) string {
	ascii := strings.Map(func(r rune) rune {
		if r >= 0x80 {
			return '_'
		}
		return r
	}, text)
	if len(ascii) > limit {
		return ascii[:limit]
	}
	return ascii
}

func baseOf(name string) string {
	trimmed := strings.TrimSuffix(name, "/")
	return trimmed[strings.LastIndexByte(trimmed, '/')+1:]
}

func decimalTime(seconds, nanoseconds int64) string {
	if nanoseconds == 0 {
		return strconv.FormatInt(seconds, 10)
	}
	sign := ""
	if seconds < 0 {
		// -1.25 is two seconds back and 0.75 forward.
		sign, seconds, nanoseconds = "-", -(seconds + 1), 1e9-nanoseconds
	}
	return sign + strings.TrimRight(fmt.Sprintf("%d.%09d", seconds, nanoseconds), "0")
}

func encodeRecords(records map[string]string) string {
	keys := make([]string, 0, len(records))
	for key := range records {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var out strings.Builder
	for _, key := range keys {
		body := " " + key + "=" + records[key] + "\n"
		// The length counts its own digits.
		length := len(body) + len(strconv.Itoa(len(body)))
		if digits := len(strconv.Itoa(length)); len(body)+digits != length {
			length = len(body) + digits
		}
		out.WriteString(strconv.Itoa(length) + body)
	}
	return out.String()
}

func padding(size int64) int64 {
	return (tarBlockBytes - size%tarBlockBytes) % tarBlockBytes
}

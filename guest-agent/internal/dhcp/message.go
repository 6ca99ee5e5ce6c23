package dhcp

import (
	"bytes"
	"encoding/binary"
	"net"
	"time"
)

// What a message is, option 53 of RFC 2132.
const (
	discover byte = 1
	offer    byte = 2
	request  byte = 3
	ack      byte = 5
	nak      byte = 6
)

const (
	optionMask       byte = 1
	optionRouter     byte = 3
	optionResolvers  byte = 6
	optionDomain     byte = 15
	optionRequested  byte = 50
	optionDuration   byte = 51
	optionOverload   byte = 52
	optionKind       byte = 53
	optionServer     byte = 54
	optionParameters byte = 55
	optionSizeMax    byte = 57
	optionRenew      byte = 58
	optionRebind     byte = 59
	optionClient     byte = 61
	optionEnd        byte = 255

	// Fields before the options: those of BOOTP, and the cookie.
	headerBytes = 240
	// Some servers ignore shorter messages.
	messageBytesMin = 300
	// What every host accepts in one piece.
	messageBytesMax = 576
	hardwareBytes   = 6
	resolversMax    = 3
	domainBytesMax  = 253
)

var cookie = []byte{99, 130, 83, 99}

// question is what a client sends.
type question struct {
	kind byte
	id   uint32
	mac  net.HardwareAddr
	// seconds since the client began to ask.
	seconds uint16
	// client is the address that the client has, requested the one that it would like, server the chosen server.
	client, requested, server net.IP
}

func (q question) bytes() []byte {
	message := make([]byte, headerBytes, messageBytesMin)
	message[0], message[1], message[2] = 1, 1, hardwareBytes
	binary.BigEndian.PutUint32(message[4:], q.id)
	binary.BigEndian.PutUint16(message[8:], q.seconds)
	copy(message[12:16], q.client.To4())
	copy(message[28:], q.mac)
	copy(message[236:], cookie)
	put := func(option byte, value ...byte) {
		message = append(append(message, option, byte(len(value))), value...)
	}
	put(optionKind, q.kind)
	put(optionClient, append([]byte{1}, q.mac...)...)
	if q.requested != nil {
		put(optionRequested, q.requested.To4()...)
	}
	if q.server != nil {
		put(optionServer, q.server.To4()...)
	}
	put(optionParameters, optionMask, optionRouter, optionResolvers, optionDomain, optionDuration, optionRenew, optionRebind)
	put(optionSizeMax, messageBytesMax>>8, messageBytesMax&0xff)
	message = append(message, optionEnd)
	for len(message) < messageBytesMin {
		message = append(message, 0)
	}
	return message
}

// answer is what a server sends.
type answer struct {
	kind   byte
	lease  Lease
	server net.IP
}

// parse reads a server's message for this question. It returns false for everything else.
func parse(message []byte, id uint32, mac net.HardwareAddr) (answer, bool) {
	var a answer
	if len(message) < headerBytes || message[0] != 2 || !bytes.Equal(message[236:headerBytes], cookie) ||
		binary.BigEndian.Uint32(message[4:]) != id || !bytes.Equal(message[28:28+hardwareBytes], mac) {
		return a, false
	}
	options, ok := readOptions(message)
	if !ok || len(options[optionKind]) != 1 {
		return a, false
	}
	a.kind = options[optionKind][0]
	a.server = address(options[optionServer])
	a.lease = Lease{
		Address:   copied(message[16:20]),
		Router:    address(options[optionRouter]),
		Domain:    domain(options[optionDomain]),
		Server:    a.server,
		Duration:  seconds(options[optionDuration]),
		RenewIn:   seconds(options[optionRenew]),
		RebindIn:  seconds(options[optionRebind]),
		Resolvers: addresses(options[optionResolvers]),
	}
	a.lease.Mask = mask(options[optionMask], a.lease.Address)
	switch a.kind {
	case offer, ack:
		return a, a.lease.complete()
	case nak:
		return a, true
	}
	return a, false
}

// readOptions reads the options, also those that a server has put into the fields for names (RFC 2132, 9.3).
func readOptions(message []byte) (map[byte][]byte, bool) {
	options := map[byte][]byte{}
	if !collect(message[headerBytes:], options) {
		return nil, false
	}
	overload := options[optionOverload]
	if len(overload) != 1 {
		return options, true
	}
	ok := true
	if overload[0]&1 != 0 {
		ok = collect(message[108:236], options)
	}
	if overload[0]&2 != 0 {
		ok = ok && collect(message[44:108], options)
	}
	return options, ok
}

func collect(field []byte, options map[byte][]byte) bool {
	for len(field) > 0 && field[0] != optionEnd {
		if field[0] == 0 {
			field = field[1:]
			continue
		}
		if len(field) < 2 || len(field) < 2+int(field[1]) {
			return false
		}
		length := int(field[1])
		options[field[0]] = append(options[field[0]], field[2:2+length]...)
		field = field[2+length:]
	}
	return true
}

func copied(value []byte) net.IP { return append(net.IP{}, value...) }

// address is the first one of a list; nil when it belongs to no host.
func address(value []byte) net.IP {
	if len(value) < net.IPv4len {
		return nil
	}
	ip := copied(value[:net.IPv4len])
	if !isHost(ip) {
		return nil
	}
	return ip
}

func addresses(value []byte) []net.IP {
	var found []net.IP
	for len(value) >= net.IPv4len && len(found) < resolversMax {
		if ip := address(value); ip != nil {
			found = append(found, ip)
		}
		value = value[net.IPv4len:]
	}
	return found
}

// isHost is true for an address that one host can have.
func isHost(ip net.IP) bool {
	return ip[0] != 0 && ip[0] < 224 && !ip.IsLoopback()
}

// mask is that of the address's class when the server tells none, or an impossible one.
func mask(value []byte, ip net.IP) net.IPMask {
	if len(value) == net.IPv4len {
		given := net.IPMask(append([]byte{}, value...))
		if ones, bits := given.Size(); bits != 0 && ones > 0 {
			return given
		}
	}
	return ip.DefaultMask()
}

func seconds(value []byte) time.Duration {
	if len(value) != 4 {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint32(value)) * time.Second
}

func domain(value []byte) string {
	text := string(bytes.TrimRight(value, "\x00"))
	if len(text) > domainBytesMax {
		return ""
	}
	for i := 0; i < len(text); i++ {
		c := text[i]
		isWord := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
		if !isWord {
			return ""
		}
	}
	return text
}

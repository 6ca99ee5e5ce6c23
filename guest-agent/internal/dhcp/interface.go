package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

const (
	serverPort = 67
	clientPort = 68
	ipBytes    = 20
	udpBytes   = 8
	udp        = 17
	// How often a wait looks whether it was stopped.
	look = time.Second
)

// Interface is the Link of an interface of this guest.
type Interface struct{ Device *net.Interface }

// Broadcast sends and receives below IP, because the interface has no address yet. The socket is open for that long only.
func (i Interface) Broadcast(message []byte, wait time.Duration, accept Accept, stop <-chan struct{}) error {
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open a packet socket: %w", err)
	}
	defer syscall.Close(fd)
	// Before it is bound: nothing but answers of servers is ever queued.
	if err := syscall.AttachLsf(fd, onlyAnswers); err != nil {
		return fmt.Errorf("filter a packet socket: %w", err)
	}
	place := &syscall.SockaddrLinklayer{Protocol: bigEndian(syscall.ETH_P_IP), Ifindex: i.Device.Index}
	if err := syscall.Bind(fd, place); err != nil {
		return fmt.Errorf("bind a packet socket: %w", err)
	}
	everyone := *place
	everyone.Halen = hardwareBytes
	copy(everyone.Addr[:], []byte{255, 255, 255, 255, 255, 255})
	packet := datagram(message, sourceOf(message), net.IPv4bcast.To4())
	if err := syscall.Sendto(fd, packet, 0, &everyone); err != nil {
		return fmt.Errorf("send to DHCP servers: %w", err)
	}
	timeout := syscall.NsecToTimeval(int64(look))
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		return fmt.Errorf("limit a packet socket: %w", err)
	}
	buffer := make([]byte, 2048)
	return receive(wait, accept, stop, func() ([]byte, error) {
		count, _, err := syscall.Recvfrom(fd, buffer, 0)
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("receive from DHCP servers: %w", err)
		}
		return payloadOf(buffer[:count]), nil
	})
}

// Unicast uses a socket of the client's address.
func (i Interface) Unicast(message []byte, from, to net.IP, wait time.Duration, accept Accept, stop <-chan struct{}) error {
	socket, err := net.DialUDP("udp4", &net.UDPAddr{IP: from, Port: clientPort}, &net.UDPAddr{IP: to, Port: serverPort})
	if err != nil {
		return fmt.Errorf("open a socket to the DHCP server: %w", err)
	}
	defer socket.Close()
	if _, err := socket.Write(message); err != nil {
		return fmt.Errorf("send to the DHCP server: %w", err)
	}
	buffer := make([]byte, 2048)
	return receive(wait, accept, stop, func() ([]byte, error) {
		_ = socket.SetReadDeadline(time.Now().Add(look))
		count, err := socket.Read(buffer)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			return nil, nil
		case err != nil:
			return nil, ErrSilent
		}
		return buffer[:count], nil
	})
}

// receive reads until a message is accepted, the wait is over or the caller stops. A read may end without a message.
func receive(wait time.Duration, accept Accept, stop <-chan struct{}, read func() ([]byte, error)) error {
	for deadline := time.Now().Add(wait); time.Now().Before(deadline); {
		select {
		case <-stop:
			return ErrSilent
		default:
		}
		message, err := read()
		if err != nil {
			return err
		}
		if message != nil && accept(message) {
			return nil
		}
	}
	return ErrSilent
}

// sourceOf is the address that the client says it has, or none.
func sourceOf(message []byte) net.IP { return net.IP(message[12:16]) }

// onlyAnswers lets whole UDP datagrams to the client's port pass. The first byte that it sees is that of IP.
var onlyAnswers = []syscall.SockFilter{
	{Code: syscall.BPF_LD | syscall.BPF_B | syscall.BPF_ABS, K: 9},
	{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: udp, Jf: 6},
	{Code: syscall.BPF_LD | syscall.BPF_H | syscall.BPF_ABS, K: 6},
	{Code: syscall.BPF_JMP | syscall.BPF_JSET | syscall.BPF_K, K: 0x3fff, Jt: 4},
	{Code: syscall.BPF_LDX | syscall.BPF_B | syscall.BPF_MSH, K: 0},
	{Code: syscall.BPF_LD | syscall.BPF_H | syscall.BPF_IND, K: 2},
	{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: clientPort, Jf: 1},
	{Code: syscall.BPF_RET | syscall.BPF_K, K: 1 << 16},
	{Code: syscall.BPF_RET | syscall.BPF_K, K: 0},
}

// datagram makes the headers of IP and UDP.
func datagram(payload []byte, from, to net.IP) []byte {
	packet := make([]byte, ipBytes+udpBytes, ipBytes+udpBytes+len(payload))
	length := uint16(ipBytes + udpBytes + len(payload))
	packet[0], packet[8], packet[9] = 0x45, 64, udp
	binary.BigEndian.PutUint16(packet[2:], length)
	copy(packet[12:16], from)
	copy(packet[16:20], to)
	binary.BigEndian.PutUint16(packet[10:], ^sum(0, packet[:ipBytes]))
	header := packet[ipBytes:]
	binary.BigEndian.PutUint16(header[0:], clientPort)
	binary.BigEndian.PutUint16(header[2:], serverPort)
	binary.BigEndian.PutUint16(header[4:], length-ipBytes)
	packet = append(packet, payload...)
	// The addresses, the protocol and the length count, too.
	pseudo := sum(uint32(udp)+uint32(length-ipBytes), packet[12:20])
	checksum := ^sum(uint32(pseudo), packet[ipBytes:])
	if checksum == 0 {
		checksum = 0xffff
	}
	binary.BigEndian.PutUint16(packet[ipBytes+6:], checksum)
	return packet
}

// payloadOf returns what a datagram of a server carries, or nil. The checksum of UDP is not looked at: one that is still to be made
// by a network card, when the server is on this host, is wrong.
func payloadOf(packet []byte) []byte {
	if len(packet) < ipBytes || packet[0]>>4 != 4 {
		return nil
	}
	header := int(packet[0]&15) * 4
	total := int(binary.BigEndian.Uint16(packet[2:]))
	if header < ipBytes || total > len(packet) || total < header+udpBytes || packet[9] != udp {
		return nil
	}
	segment := packet[header:total]
	length := int(binary.BigEndian.Uint16(segment[4:]))
	if binary.BigEndian.Uint16(segment) != serverPort || binary.BigEndian.Uint16(segment[2:]) != clientPort ||
		length < udpBytes || length > len(segment) {
		return nil
	}
	return segment[udpBytes:length]
}

func sum(start uint32, data []byte) uint16 {
	total := start
	for i := 0; i+1 < len(data); i += 2 {
		total += uint32(binary.BigEndian.Uint16(data[i:]))
	}
	if len(data)%2 == 1 {
		total += uint32(data[len(data)-1]) << 8
	}
	for total>>16 != 0 {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}

// bigEndian returns the number whose bytes, as this machine keeps them, are in network order.
func bigEndian(value uint16) uint16 {
	var bytes [2]byte
	binary.BigEndian.PutUint16(bytes[:], value)
	return native.Uint16(bytes[:])
}

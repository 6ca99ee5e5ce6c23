// Package network configures the guest's interface: addresses, routes and resolver. It knows nothing about the
// link to the host. It speaks rtnetlink itself, because guests may lack every program for it.
package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"unsafe"
)

const (
	// How long the kernel may take to answer; it answers in microseconds.
	answerSeconds = 5
	answerBytes   = 64 * 1024
	headerBytes   = syscall.SizeofNlMsghdr
	// Attributes of addresses that the syscall package lacks.
	attributeFlags = 8
	flagNoDAD      = 0x02
	flagOnLink     = 0x4
)

var native = func() binary.ByteOrder {
	one := uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 1 {
		return binary.LittleEndian
	}
	return binary.BigEndian
}()

// socket is a connection with the kernel's routing tables.
type socket struct {
	fd       int
	sequence uint32
}

func openSocket() (*socket, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: answerSeconds}); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		syscall.Close(fd)
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return &socket{fd: fd}, nil
}

func (s *socket) Close() { syscall.Close(s.fd) }

// message is the body of a request.
type message struct{ bytes []byte }

func (m *message) put(data ...byte) { m.bytes = append(m.bytes, data...) }

func (m *message) attribute(kind uint16, data []byte) {
	header := make([]byte, syscall.SizeofRtAttr)
	native.PutUint16(header, uint16(syscall.SizeofRtAttr+len(data)))
	native.PutUint16(header[2:], kind)
	m.put(header...)
	m.put(data...)
	for len(m.bytes)%syscall.NLMSG_ALIGNTO != 0 {
		m.put(0)
	}
}

func (m *message) number(kind uint16, value uint32) {
	data := make([]byte, 4)
	native.PutUint32(data, value)
	m.attribute(kind, data)
}

// change sends a request and waits until the kernel has carried it out.
func (s *socket) change(kind, flags uint16, body []byte) error {
	s.sequence++
	request := make([]byte, headerBytes, headerBytes+len(body))
	native.PutUint32(request, uint32(headerBytes+len(body)))
	native.PutUint16(request[4:], kind)
	native.PutUint16(request[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_ACK|flags)
	native.PutUint32(request[8:], s.sequence)
	request = append(request, body...)
	if err := syscall.Sendto(s.fd, request, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	buffer := make([]byte, answerBytes)
	for {
		count, _, err := syscall.Recvfrom(s.fd, buffer, 0)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		answers, err := syscall.ParseNetlinkMessage(buffer[:count])
		if err != nil {
			return err
		}
		for _, answer := range answers {
			if answer.Header.Seq != s.sequence || answer.Header.Type != syscall.NLMSG_ERROR || len(answer.Data) < 4 {
				continue
			}
			if code := int32(native.Uint32(answer.Data)); code != 0 {
				return syscall.Errno(-code)
			}
			return nil
		}
	}
}

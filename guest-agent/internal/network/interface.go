package network

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

const (
	scopeGlobal   = syscall.RT_SCOPE_UNIVERSE
	hostPrefixIP4 = 32
	hostPrefixIP6 = 128
)

// setUp makes an interface carry packets. IPv6 addresses by router advertisements are switched off: the host says
// which addresses there are.
func (s *socket) setUp(device *net.Interface) error {
	for name, value := range map[string]string{"accept_ra": "0", "autoconf": "0", "accept_dad": "0"} {
		// A kernel without IPv6 has no such file.
		_ = os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", device.Name, name), []byte(value), 0)
	}
	body := make([]byte, syscall.SizeofIfInfomsg)
	native.PutUint32(body[4:], uint32(device.Index))
	native.PutUint32(body[8:], syscall.IFF_UP)
	native.PutUint32(body[12:], syscall.IFF_UP)
	if err := s.change(syscall.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("set %s up: %w", device.Name, err)
	}
	return nil
}

func addressMessage(device *net.Interface, address net.IP, prefix int) []byte {
	data, family := raw(address)
	body := message{}
	body.put(family, byte(prefix), flagNoDAD, scopeGlobal)
	index := make([]byte, 4)
	native.PutUint32(index, uint32(device.Index))
	body.put(index...)
	body.attribute(syscall.IFA_LOCAL, data)
	body.attribute(syscall.IFA_ADDRESS, data)
	body.number(attributeFlags, flagNoDAD)
	return body.bytes
}

func (s *socket) addAddress(device *net.Interface, address net.IP, prefix int) error {
	err := s.change(syscall.RTM_NEWADDR, syscall.NLM_F_CREATE|syscall.NLM_F_REPLACE, addressMessage(device, address, prefix))
	if err != nil {
		return fmt.Errorf("add the address %s/%d: %w", address, prefix, err)
	}
	return nil
}

func (s *socket) removeAddress(device *net.Interface, address net.IP, prefix int) error {
	if err := s.change(syscall.RTM_DELADDR, 0, addressMessage(device, address, prefix)); err != nil {
		return fmt.Errorf("remove the address %s/%d: %w", address, prefix, err)
	}
	return nil
}

// addRoutes makes a gateway reachable on the link, and the default route lead through it.
func (s *socket) addRoutes(device *net.Interface, gateway net.IP) error {
	data, family := raw(gateway)
	prefix := byte(hostPrefixIP4)
	if family == syscall.AF_INET6 {
		prefix = hostPrefixIP6
	}
	near := message{}
	near.put(family, prefix, 0, 0, syscall.RT_TABLE_MAIN, syscall.RTPROT_STATIC, syscall.RT_SCOPE_LINK, syscall.RTN_UNICAST, 0, 0, 0, 0)
	near.attribute(syscall.RTA_DST, data)
	near.number(syscall.RTA_OIF, uint32(device.Index))
	const flags = syscall.NLM_F_CREATE | syscall.NLM_F_REPLACE
	if err := s.change(syscall.RTM_NEWROUTE, flags, near.bytes); err != nil {
		return fmt.Errorf("add a route to %s: %w", gateway, err)
	}
	far := message{}
	far.put(family, 0, 0, 0, syscall.RT_TABLE_MAIN, syscall.RTPROT_STATIC, syscall.RT_SCOPE_UNIVERSE, syscall.RTN_UNICAST)
	onLink := make([]byte, 4)
	native.PutUint32(onLink, flagOnLink)
	far.put(onLink...)
	far.attribute(syscall.RTA_GATEWAY, data)
	far.number(syscall.RTA_OIF, uint32(device.Index))
	if err := s.change(syscall.RTM_NEWROUTE, flags, far.bytes); err != nil {
		return fmt.Errorf("add the default route through %s: %w", gateway, err)
	}
	return nil
}

// raw returns an address as the kernel's bytes, and its family.
func raw(address net.IP) ([]byte, byte) {
	if short := address.To4(); short != nil {
		return short, syscall.AF_INET
	}
	return address.To16(), syscall.AF_INET6
}

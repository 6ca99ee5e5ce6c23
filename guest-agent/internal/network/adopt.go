package network

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"syscall"
	"unsafe"
)

// The driver of the interfaces that the host has made. Those of other drivers are the guest's own: bridges, veth, WireGuard.
const hostDriver = "virtio_net"

const (
	ethtoolIoctl      = 0x8946
	ethtoolDriverInfo = 3
	driverNameBytes   = 32
	// The size of struct ethtool_drvinfo, with its command.
	driverInfoBytes = 196
)

// Adopt gives the guest's interface another hardware address and removes what it had under the former one: addresses,
// routes and neighbours of IPv4 and IPv6. The interface stays down until Configure. Of several interfaces, it is the first
// that the kernel has found. Without an address, all of them are only emptied and stay down. Interfaces that the host has not
// made stay as they are. Idempotent: the address is changed last, so an interface that has it was emptied before.
func Adopt(mac net.HardwareAddr) error { return adopt(mac, hostDriver) }

func adopt(mac net.HardwareAddr, driver string) error {
	devices, err := drivenBy(driver)
	if err != nil {
		return err
	}
	kernel, err := openSocket()
	if err != nil {
		return err
	}
	defer kernel.Close()
	if len(mac) == 0 {
		for _, device := range devices {
			if err := kernel.empty(device); err != nil {
				return err
			}
		}
		return nil
	}
	if len(devices) == 0 {
		return fmt.Errorf("%s: %w", mac, ErrNoInterface)
	}
	for _, device := range devices {
		if bytes.Equal(device.HardwareAddr, mac) {
			return nil
		}
	}
	if err := kernel.empty(devices[0]); err != nil {
		return err
	}
	return kernel.setHardwareAddress(devices[0], mac)
}

// drivenBy returns the interfaces with a driver, in the order in which the kernel has found them.
func drivenBy(driver string) ([]*net.Interface, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("ask for drivers: %w", err)
	}
	defer syscall.Close(fd)
	var found []*net.Interface
	for i := range devices {
		if driverOf(fd, devices[i].Name) == driver {
			found = append(found, &devices[i])
		}
	}
	return found, nil
}

// driverInfo is struct ethtool_drvinfo.
type driverInfo struct {
	command uint32
	driver  [driverNameBytes]byte
	_       [driverInfoBytes - 4 - driverNameBytes]byte
}

// driverOf asks the kernel rather than /sys, which shows the interfaces of the namespace in which it was mounted. Empty for
// an interface without a driver.
func driverOf(fd int, name string) string {
	info := &driverInfo{command: ethtoolDriverInfo}
	request := struct {
		name [syscall.IFNAMSIZ]byte
		info *driverInfo
		_    [16]byte
	}{info: info}
	copy(request.name[:syscall.IFNAMSIZ-1], name)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), ethtoolIoctl, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return ""
	}
	text, _, _ := bytes.Cut(info.driver[:], []byte{0})
	return string(text)
}

// empty sets an interface down, which removes its routes and neighbours, and removes its addresses.
func (s *socket) empty(device *net.Interface) error {
	body := make([]byte, syscall.SizeofIfInfomsg)
	native.PutUint32(body[4:], uint32(device.Index))
	native.PutUint32(body[12:], syscall.IFF_UP)
	if err := s.change(syscall.RTM_NEWLINK, 0, body); err != nil {
		return fmt.Errorf("set %s down: %w", device.Name, err)
	}
	addresses, err := device.Addrs()
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", device.Name, err)
	}
	for _, each := range addresses {
		address, ok := each.(*net.IPNet)
		if !ok {
			continue
		}
		// Some go with the first of their network.
		if err := s.removeLocal(device, address); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			return fmt.Errorf("remove the address %s: %w", address, err)
		}
	}
	return nil
}

// removeLocal removes an address whatever its peer is.
func (s *socket) removeLocal(device *net.Interface, address *net.IPNet) error {
	data, family := raw(address.IP)
	prefix, _ := address.Mask.Size()
	body := message{}
	body.put(family, byte(prefix), 0, 0)
	index := make([]byte, 4)
	native.PutUint32(index, uint32(device.Index))
	body.put(index...)
	body.attribute(syscall.IFA_LOCAL, data)
	return s.change(syscall.RTM_DELADDR, 0, body.bytes)
}

func (s *socket) setHardwareAddress(device *net.Interface, mac net.HardwareAddr) error {
	body := message{bytes: make([]byte, syscall.SizeofIfInfomsg)}
	native.PutUint32(body.bytes[4:], uint32(device.Index))
	body.attribute(syscall.IFLA_ADDRESS, mac)
	if err := s.change(syscall.RTM_NEWLINK, 0, body.bytes); err != nil {
		return fmt.Errorf("give %s the hardware address %s: %w", device.Name, mac, err)
	}
	return nil
}

package network

import (
	"bytes"
	"errors"
	"fmt"
	"net"
)

// Plan is what the interface with a hardware address is to have. Gateways are on the link.
type Plan struct {
	MAC           net.HardwareAddr
	Addresses     []net.IPNet
	Gateways      []net.IP
	Resolvers     []net.IP
	SearchDomains []string
}

// ErrNoInterface is returned when no interface has the hardware address.
var ErrNoInterface = errors.New("no interface has this address")

// Configure makes the interface as planned. Idempotent; addresses that are not planned are removed. A resolver
// configuration that cannot be written is only logged, because a guest may have made its root read-only.
func Configure(plan Plan, log func(format string, values ...interface{})) error {
	device, err := Find(plan.MAC)
	if err != nil {
		return err
	}
	kernel, err := openSocket()
	if err != nil {
		return err
	}
	defer kernel.Close()
	if err := kernel.setUp(device); err != nil {
		return err
	}
	for _, address := range plan.Addresses {
		prefix, _ := address.Mask.Size()
		if err := kernel.addAddress(device, address.IP, prefix); err != nil {
			return err
		}
	}
	// After the new ones, so that the interface is never without an address.
	if err := removeOthers(kernel, device, plan.Addresses); err != nil {
		return err
	}
	for _, gateway := range plan.Gateways {
		if err := kernel.addRoutes(device, gateway); err != nil {
			return err
		}
	}
	if len(plan.Resolvers) == 0 {
		return nil
	}
	if err := writeResolver("/", plan.Resolvers, plan.SearchDomains); err != nil {
		log("the resolver is not configured: %v", err)
	}
	return nil
}

// Find returns the interface with a hardware address, or ErrNoInterface.
func Find(mac net.HardwareAddr) (*net.Interface, error) {
	devices, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	for i := range devices {
		if bytes.Equal(devices[i].HardwareAddr, mac) {
			return &devices[i], nil
		}
	}
	return nil, fmt.Errorf("%s: %w", mac, ErrNoInterface)
}

// removeOthers removes the addresses that the plan does not have. Link-local ones are the kernel's own.
func removeOthers(kernel *socket, device *net.Interface, planned []net.IPNet) error {
	present, err := device.Addrs()
	if err != nil {
		return fmt.Errorf("list the addresses of %s: %w", device.Name, err)
	}
	for _, each := range present {
		address, ok := each.(*net.IPNet)
		if !ok || address.IP.IsLinkLocalUnicast() || contains(planned, address) {
			continue
		}
		prefix, _ := address.Mask.Size()
		if err := kernel.removeAddress(device, address.IP, prefix); err != nil {
			return err
		}
	}
	return nil
}

func contains(planned []net.IPNet, address *net.IPNet) bool {
	for _, each := range planned {
		if each.IP.Equal(address.IP) && bytes.Equal(each.Mask, address.Mask) {
			return true
		}
	}
	return false
}

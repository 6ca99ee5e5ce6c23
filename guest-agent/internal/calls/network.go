package calls

import (
	"errors"
	"net"
	"time"

	"guest-agent/internal/dhcp"
	"guest-agent/internal/link"
	"guest-agent/internal/network"
)

const (
	addressesMax     = 16
	domainsMax       = 8
	domainBytesMax   = 253
	hardwareAddrSize = 6
)

// network configures the guest's interface.
func (a *Agent) network(call *link.Call) {
	var arguments struct {
		MAC       string `json:"mac"`
		Addresses []struct {
			Address string `json:"address"`
			Prefix  int    `json:"prefix"`
		} `json:"addresses"`
		Gateways      []string `json:"gateways"`
		Resolvers     []string `json:"resolvers"`
		SearchDomains []string `json:"search_domains"`
		DHCP          bool     `json:"dhcp"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	plan := network.Plan{SearchDomains: arguments.SearchDomains}
	mac, err := net.ParseMAC(arguments.MAC)
	if err != nil || len(mac) != hardwareAddrSize {
		call.Fail(link.CodeInvalid, "mac must be six bytes in hexadecimal")
		return
	}
	plan.MAC = mac
	if len(arguments.Addresses) > addressesMax || len(arguments.Gateways) > addressesMax || len(arguments.Resolvers) > addressesMax {
		call.Fail(link.CodeInvalid, "too many addresses")
		return
	}
	for _, each := range arguments.Addresses {
		address, ok := networkOf(each.Address, each.Prefix)
		if !ok {
			call.Fail(link.CodeInvalid, "addresses must be IP addresses with the length of their prefix")
			return
		}
		plan.Addresses = append(plan.Addresses, address)
	}
	gateways, gatewaysOk := parseAddresses(arguments.Gateways)
	resolvers, resolversOk := parseAddresses(arguments.Resolvers)
	if !gatewaysOk || !resolversOk || !areDomains(arguments.SearchDomains) {
		call.Fail(link.CodeInvalid, "gateways and resolvers must be IP addresses, search_domains names")
		return
	}
	plan.Gateways, plan.Resolvers = gateways, resolvers
	if arguments.DHCP {
		a.followDHCP(call, mac)
		return
	}
	a.dhcp.Stop()
	if err := a.system.ConfigureNetwork(plan); err != nil {
		failNetwork(call, err)
		return
	}
	_ = call.Succeed(nil)
}

// followDHCP lets a DHCP server say what the interface has, from now on. It answers before there is a lease; see lease.
func (a *Agent) followDHCP(call *link.Call, mac net.HardwareAddr) {
	if !a.dhcp.IsFollowing(mac) {
		// Up, and without what another network has given it.
		if err := a.system.ConfigureNetwork(network.Plan{MAC: mac}); err != nil {
			failNetwork(call, err)
			return
		}
	}
	servers, err := a.system.DHCPLink(mac)
	if err != nil {
		failNetwork(call, err)
		return
	}
	a.dhcp.Follow(mac, servers, dhcp.SystemClock{}, func(lease *dhcp.Lease) error {
		return a.system.ConfigureNetwork(planOf(mac, lease))
	}, a.log)
	_ = call.Succeed(nil)
}

func planOf(mac net.HardwareAddr, lease *dhcp.Lease) network.Plan {
	plan := network.Plan{MAC: mac}
	if lease == nil {
		return plan
	}
	plan.Addresses = []net.IPNet{{IP: lease.Address, Mask: lease.Mask}}
	if lease.Router != nil {
		plan.Gateways = []net.IP{lease.Router}
	}
	plan.Resolvers = lease.Resolvers
	if lease.Domain != "" {
		plan.SearchDomains = []string{lease.Domain}
	}
	return plan
}

func failNetwork(call *link.Call, err error) {
	if errors.Is(err, network.ErrNoInterface) {
		call.Fail(link.CodeNotFound, err.Error())
		return
	}
	call.Fail(link.CodeInternal, err.Error())
}

// How long the host may let the guest wait for a change.
const leaseWaitMax = 10 * time.Minute

// lease answers with what the DHCP client has, as soon as it is not the change that the host knows.
func (a *Agent) lease(call *link.Call) {
	var arguments struct {
		Known     int64 `json:"known"`
		TimeoutMS int64 `json:"timeout_ms"`
	}
	if !call.Arguments(&arguments) {
		return
	}
	wait := time.Duration(arguments.TimeoutMS) * time.Millisecond
	if wait < 0 || wait > leaseWaitMax {
		call.Fail(link.CodeInvalid, "timeout_ms must be 0 to 600000")
		return
	}
	done := make(chan struct{})
	defer close(done)
	left := make(chan struct{})
	onEnded(call, done, a.log, func() { close(left) })
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	status, changed := a.dhcp.Status()
	for status.Change == arguments.Known {
		select {
		case <-changed:
			status, changed = a.dhcp.Status()
			continue
		case <-timeout.C:
		case <-left:
			return
		}
		break
	}
	_ = call.Succeed(leaseAnswer(status))
}

func leaseAnswer(status dhcp.Status) map[string]interface{} {
	answer := map[string]interface{}{"change": status.Change, "lease": nil, "problem": nil}
	if status.Problem != "" {
		answer["problem"] = status.Problem
	}
	lease := status.Lease
	if lease == nil {
		return answer
	}
	prefix, _ := lease.Mask.Size()
	resolvers := make([]string, 0, len(lease.Resolvers))
	for _, resolver := range lease.Resolvers {
		resolvers = append(resolvers, resolver.String())
	}
	gateway := interface{}(nil)
	if lease.Router != nil {
		gateway = lease.Router.String()
	}
	answer["lease"] = map[string]interface{}{
		"address":   lease.Address.String(),
		"prefix":    prefix,
		"gateway":   gateway,
		"resolvers": resolvers,
		"server":    lease.Server.String(),
		"left_ms":   time.Until(status.Until).Milliseconds(),
	}
	return answer
}

func networkOf(text string, prefix int) (net.IPNet, bool) {
	address := net.ParseIP(text)
	if address == nil {
		return net.IPNet{}, false
	}
	if short := address.To4(); short != nil {
		address = short
	}
	mask := net.CIDRMask(prefix, 8*len(address))
	return net.IPNet{IP: address, Mask: mask}, mask != nil
}

func parseAddresses(texts []string) ([]net.IP, bool) {
	var addresses []net.IP
	for _, text := range texts {
		address := net.ParseIP(text)
		if address == nil {
			return nil, false
		}
		addresses = append(addresses, address)
	}
	return addresses, true
}

func areDomains(names []string) bool {
	if len(names) > domainsMax {
		return false
	}
	for _, name := range names {
		if len(name) > domainBytesMax || !isDomain(name) {
			return false
		}
	}
	return true
}

func isDomain(name string) bool {
	return name != "" && consistsOf(name, func(c byte) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_'
	})
}

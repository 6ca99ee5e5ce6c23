package system

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	agentPortName = "agent.0"
	rootSerial    = "root"

	// Devices exist as soon as their drivers are loaded; a port needs an exchange with the host.
	deviceWait = 10 * time.Second
	devicePoll = 2 * time.Millisecond
)

// AgentPort waits for the guest link's virtio port and returns its device node.
func AgentPort() (string, error) {
	return awaitDevice("virtio port "+agentPortName, func() string {
		return nodeByAttribute("/sys/class/virtio-ports/*/name", agentPortName)
	})
}

// rootDisk waits for the disk with the serial `root`, else the first virtio disk.
func rootDisk() (string, error) {
	return awaitDevice("root disk", func() string {
		if node := nodeByAttribute("/sys/block/vd*/serial", rootSerial); node != "" {
			return node
		}
		if _, err := os.Stat("/sys/block/vda"); err == nil {
			return existing("/dev/vda")
		}
		return ""
	})
}

// nodeByAttribute finds the device whose sysfs attribute has the value. The attribute's folder has the name
// of the device node.
func nodeByAttribute(pattern, value string) string {
	attributes, _ := filepath.Glob(pattern)
	for _, attribute := range attributes {
		if content, err := os.ReadFile(attribute); err == nil && strings.TrimSpace(string(content)) == value {
			return existing("/dev/" + filepath.Base(filepath.Dir(attribute)))
		}
	}
	return ""
}

func existing(node string) string {
	if _, err := os.Stat(node); err != nil {
		return ""
	}
	return node
}

func awaitDevice(what string, find func() string) (string, error) {
	deadline := time.Now().Add(deviceWait)
	for {
		if node := find(); node != "" {
			return node, nil
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("no %s within %v", what, deviceWait)
		}
		time.Sleep(devicePoll)
	}
}

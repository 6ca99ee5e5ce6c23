package system

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

const (
	moduleList = "/lib/modules/flotilla.list"
	// Modules for machine types whose devices are not found with the first list.
	moduleFallbackList = "/lib/modules/flotilla-fallback.list"
	virtioDevices      = "/sys/bus/virtio/devices"

	moduleCompressed = 4
)

// LoadModules loads the modules listed in the initramfs. A failure is only logged; the missing device will be
// reported later.
func LoadModules() {
	loadModules(moduleList)
	if devices, err := os.ReadDir(virtioDevices); err != nil || len(devices) == 0 {
		loadModules(moduleFallbackList)
	}
}

func loadModules(list string) {
	lines, err := os.ReadFile(list)
	if err != nil {
		return
	}
	for _, line := range strings.Split(string(lines), "\n") {
		path := strings.TrimSpace(line)
		if path == "" {
			continue
		}
		if err := loadModule(path); err != nil {
			Complain("load %s: %v", path, err)
		}
	}
}

func loadModule(path string) error {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	parameters, err := syscall.BytePtrFromString("")
	if err != nil {
		return err
	}
	flags := uintptr(0)
	if !strings.HasSuffix(path, ".ko") {
		flags = moduleCompressed
	}
	_, _, errno := syscall.Syscall(sysFinitModule, uintptr(fd), uintptr(unsafe.Pointer(parameters)), flags)
	if errno != 0 && errno != syscall.EEXIST {
		return fmt.Errorf("finit_module: %w", errno)
	}
	return nil
}

package archive

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"runtime"
	"sort"
	"strings"

	"image-builder/internal/refusal"
)

// programs collects the processor architectures of an archive's programs.
type programs struct {
	machines map[elf.Machine]bool
}

const machineAt = 18

func (p *programs) see(head []byte) {
	if len(head) < machineAt+2 || !bytes.HasPrefix(head, []byte(elf.ELFMAG)) {
		return
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	if p.machines == nil {
		p.machines = map[elf.Machine]bool{}
	}
	p.machines[elf.Machine(order.Uint16(head[machineAt:]))] = true
}

// check refuses an archive with programs if none of them runs on this host's processor.
func (p *programs) check() error {
	if len(p.machines) == 0 {
		return nil
	}
	var names []string
	for machine := range p.machines {
		for _, ours := range machinesHere() {
			if machine == ours {
				return nil
			}
		}
		names = append(names, strings.TrimPrefix(machine.String(), "EM_"))
	}
	sort.Strings(names)
	return refusal.New("the programs of the root file system are for another processor: %s", strings.Join(names, ", ")).
		WithHint("This host runs programs for " + runtime.GOARCH + ".")
}

func machinesHere() []elf.Machine {
	if runtime.GOARCH == "arm64" {
		return []elf.Machine{elf.EM_AARCH64, elf.EM_ARM}
	}
	return []elf.Machine{elf.EM_X86_64, elf.EM_386}
}

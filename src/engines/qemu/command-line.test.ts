import { describe, expect, it } from 'vitest';
import { limitsOfSize } from '../../core/ports/engine.ts';
import { argumentsDigest, type CommandLineFacts, type QemuSpec, qemuArguments } from './command-line.ts';

const spec: QemuSpec = {
  machineId: 'machine00001',
  hostId: 'host00000001',
  incarnation: 'incarnation1',
  slot: 4,
  vcpuCount: 2,
  memoryMib: 256,
  diskMib: 1024,
  source: {
    kind: 'kernel',
    kernelPath: '/s/boot/kernel',
    initrdPath: '/s/boot/initrd',
    kernelArgs: 'image=given',
  },
  disks: [
    { path: '/s/disks/m/root.qcow2', format: 'qcow2', readOnly: false, bases: ['/s/images/base'] },
    { path: '/s/disks/m/seed.raw', format: 'raw', readOnly: true, bases: [] },
  ],
  nics: [],
  limits: limitsOfSize,
};

const tcg: CommandLineFacts = {
  accelerator: 'tcg',
  tscKhz: 2_000_000,
  hasAcpi: true,
  hasNesting: false,
  qmpSocket: '/s/run/i/qmp.sock',
  agentSocket: '/s/run/i/agent.sock',
  consoleFile: '/s/run/i/console.log',
};

/** One option per line, so that changes of the golden text are easy to review. */
function shown(args: readonly string[]): string {
  return args.map((arg, index) => (index > 0 && !arg.startsWith('-') ? ` ${arg}` : `\n${arg}`)).join('');
}

describe('qemuArguments', () => {
  it('makes this command line under TCG', () => {
    expect(shown(qemuArguments(spec, tcg))).toMatchInlineSnapshot(`
      "
      -name flotilla-incarnation1
      -M microvm,acpi=on
      -accel tcg,tb-size=64
      -cpu max,-erms,-fsrm,-vmx,-svm
      -m 256M
      -smp cpus=2
      -nodefaults
      -no-user-config
      -display none
      -action reboot=shutdown,shutdown=pause
      -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
      -chardev socket,id=qmp,path=/s/run/i/qmp.sock,server=on,wait=off
      -mon chardev=qmp,mode=control
      -chardev file,id=console,path=/s/run/i/console.log,append=on
      -serial chardev:console
      -kernel /s/boot/kernel
      -initrd /s/boot/initrd
      -append console=ttyS0 quiet panic=-1 reboot=t tsc_early_khz=2000000 tsc=reliable no_timer_check noreplace-smp image=given
      -device virtio-serial-device
      -chardev socket,id=agent,path=/s/run/i/agent.sock,server=on,wait=off
      -device virtserialport,chardev=agent,name=agent.0,id=agent.0
      -drive file=/s/disks/m/root.qcow2,format=qcow2,if=none,id=disk0,discard=unmap
      -device virtio-blk-device,drive=disk0,serial=root
      -drive file=/s/disks/m/seed.raw,format=raw,if=none,id=disk1,discard=unmap,readonly=on
      -device virtio-blk-device,drive=disk1,serial=disk1
      -device virtio-rng-device
      -device virtio-balloon-device,id=balloon0,free-page-reporting=on,deflate-on-oom=on"
    `);
  });

  it('makes this command line under KVM', () => {
    expect(
      shown(qemuArguments({ ...spec, disks: [] }, { ...tcg, accelerator: 'kvm' })),
    ).toMatchInlineSnapshot(`
      "
      -name flotilla-incarnation1
      -M microvm,acpi=on
      -accel kvm
      -cpu host,-vmx,-svm
      -m 256M
      -smp cpus=2
      -nodefaults
      -no-user-config
      -display none
      -action reboot=shutdown,shutdown=pause
      -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
      -chardev socket,id=qmp,path=/s/run/i/qmp.sock,server=on,wait=off
      -mon chardev=qmp,mode=control
      -chardev file,id=console,path=/s/run/i/console.log,append=on
      -serial chardev:console
      -kernel /s/boot/kernel
      -initrd /s/boot/initrd
      -append console=ttyS0 quiet panic=-1 reboot=t image=given
      -device virtio-serial-device
      -chardev socket,id=agent,path=/s/run/i/agent.sock,server=on,wait=off
      -device virtserialport,chardev=agent,name=agent.0,id=agent.0
      -device virtio-rng-device
      -device virtio-balloon-device,id=balloon0,free-page-reporting=on,deflate-on-oom=on"
    `);
  });

  describe('without ACPI', () => {
    const append = (facts: CommandLineFacts) => {
      const args = qemuArguments(spec, { ...facts, hasAcpi: false });
      expect(args).toContain('microvm,acpi=off');
      return args[args.indexOf('-append') + 1];
    };

    it('tells the kernel what to leave out, and under TCG the clocks’ frequencies', () => {
      expect(append(tcg)).toBe(
        'console=ttyS0 quiet panic=-1 reboot=t acpi=off pci=off tsc_early_khz=2000000 tsc=reliable no_timer_check noreplace-smp lapic_timer_khz=1000000 image=given',
      );
    });

    it('leaves clocks to the kernel under KVM, which has others', () => {
      expect(append({ ...tcg, accelerator: 'kvm' })).toBe(
        'console=ttyS0 quiet panic=-1 reboot=t acpi=off pci=off image=given',
      );
    });
  });

  it('escapes commas in paths', () => {
    const path = '/s,if=pflash/root';
    const args = qemuArguments(
      { ...spec, disks: [{ path, format: 'raw', readOnly: false, bases: [] }] },
      { ...tcg, consoleFile: '/a,b' },
    );
    expect(args.find((arg) => arg.startsWith('file=/s'))).toMatch(/^file=\/s,,if=pflash\/root,format=raw,/);
    expect(args).toContain('file,id=console,path=/a,,b,append=on');
  });

  it('has only the network interfaces that were given', () => {
    expect(qemuArguments(spec, tcg).join(' ')).not.toMatch(/net/);
    const mac = '02:66:0a:4d:00:02';
    const netns = '/run/netns/x';
    const nics = [
      { kind: 'tap', tap: 'flt1', netns: null, mac },
      { kind: 'isolated', mac },
      { kind: 'tap', tap: 'flt2', netns, mac },
    ] as const;
    const args = qemuArguments({ ...spec, disks: [], nics }, tcg);
    const from = args.indexOf('-netdev');
    expect(shown(args.slice(from, args.lastIndexOf('-netdev') + 4))).toMatchInlineSnapshot(`
      "
      -netdev tap,id=net0,fd=4,vhost=off
      -device virtio-net-device,netdev=net0,mac=02:66:0a:4d:00:02
      -netdev user,id=net1,restrict=on
      -device virtio-net-device,netdev=net1,mac=02:66:0a:4d:00:02
      -netdev tap,id=net2,fd=5,vhost=off
      -device virtio-net-device,netdev=net2,mac=02:66:0a:4d:00:02"
    `);
  });

  it('distinguishes command lines by their digest', () => {
    expect(argumentsDigest(['a', 'b'])).not.toBe(argumentsDigest(['ab']));
  });
});

it('enables nested virtualisation only on request', () => {
  const cpu = (facts: CommandLineFacts) => {
    const args = qemuArguments(spec, facts);
    return args[args.indexOf('-cpu') + 1];
  };
  for (const accelerator of ['kvm', 'tcg'] as const) {
    expect(cpu({ ...tcg, accelerator })).toMatch(/,-vmx,-svm$/);
    expect(cpu({ ...tcg, accelerator, hasNesting: true })).not.toMatch(/vmx|svm/);
  }
});

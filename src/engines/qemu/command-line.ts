/**
 * Builds the QEMU command line of one incarnation. Pure: the same input gives the same bytes, so the golden
 * test shows every change for review.
 */
import { createHash } from 'node:crypto';
import type { DiskAttachment, LaunchSource, LaunchSpec } from '../../core/ports/engine.ts';
import type { NicAttachment } from '../../core/ports/network.ts';

type KernelBoot = Extract<LaunchSource, { readonly kind: 'kernel' }>;
/** A spec that QEMU can start. */
export type QemuSpec = LaunchSpec & {
  readonly source: Extract<LaunchSource, { readonly kind: 'kernel' | 'restore' }>;
};

export type Accelerator = 'kvm' | 'tcg';

/** What the command line depends on besides the spec. */
export interface CommandLineFacts {
  readonly accelerator: Accelerator;
  /** Frequency of the time stamp counter that TCG guests see: the host's own. Unused under KVM. */
  readonly tscKhz: number;
  /**
   * Whether the machine has ACPI tables. Distribution kernels find virtio-mmio devices only there. For a kernel with
   * CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES, QEMU names them on its command line; it boots faster without tables.
   */
  readonly hasAcpi: boolean;
  /** Whether guests see the CPU's virtualisation extensions. */
  readonly hasNesting: boolean;
  readonly qmpSocket: string;
  readonly agentSocket: string;
  readonly consoleFile: string;
}

/** Size of TCG's translation buffer. More gained nothing in measurements; QEMU's default is 1 GiB. */
export const tcgBufferMib = 64;

/** The process name that marks a VMM as ours and names its incarnation. */
export function vmmName(incarnation: string): string {
  return `flotilla-${incarnation}`;
}

/** In QEMU's option syntax, a comma inside a value is doubled. */
export function escapeOption(value: string): string {
  return value.replaceAll(',', ',,');
}

/** What every kernel is given on this host. */
export function ownKernelArguments(
  facts: Pick<CommandLineFacts, 'accelerator' | 'tscKhz' | 'hasAcpi'>,
): string {
  const own = ['console=ttyS0', 'quiet', 'panic=-1', 'reboot=t'];
  // Otherwise the kernel searches memory for the tables, and a bus that the machine does not have.
  if (!facts.hasAcpi) own.push('acpi=off', 'pci=off');
  if (facts.accelerator === 'tcg') {
    // Without this frequency, a guest under TCG cannot calibrate its clock: with ACPI it hangs, without ACPI
    // its clock drifts.
    own.push(`tsc_early_khz=${facts.tscKhz}`, 'tsc=reliable', 'no_timer_check', 'noreplace-smp');
    // QEMU's APIC bus runs at 1 GHz. The kernel of guest-kernel/ takes this value and skips 200 ms of measuring; under
    // KVM, its timer counts the time stamp counter's ticks.
    if (!facts.hasAcpi) own.push('lapic_timer_khz=1000000');
  }
  return own.join(' ');
}

/** The kernel's whole command line. */
export function kernelArguments(source: KernelBoot, facts: CommandLineFacts): string {
  return `${ownKernelArguments(facts)} ${source.kernelArgs.trim()}`.trim();
}

function diskArguments(disk: DiskAttachment, index: number): readonly string[] {
  const id = `disk${index}`;
  const drive = [
    `file=${escapeOption(disk.path)}`,
    `format=${disk.format}`,
    'if=none',
    `id=${id}`,
    'discard=unmap',
    ...(disk.readOnly ? ['readonly=on'] : []),
  ];
  // The guest finds its root disk by serial, because the order of virtio-mmio devices is not guaranteed.
  // Write errors keep QEMU's default: a full disk pauses the machine, other errors are reported to the guest.
  const serial = index === 0 ? 'root' : id;
  return ['-drive', drive.join(','), '-device', `virtio-blk-device,drive=${id},serial=${serial}`];
}

/** The descriptor of the first tap device, which the launch shim has opened; see launch-shim/main.go. */
const firstTapFd = 4;

function nicArguments(nics: readonly NicAttachment[]): readonly string[] {
  let taps = 0;
  return nics.flatMap((nic, index) => {
    const id = `net${index}`;
    // Without vhost, QEMU needs no device of the host.
    const netdev =
      nic.kind === 'tap'
        ? `tap,id=${id},fd=${firstTapFd + taps++},vhost=off`
        : // Its own DHCP server and resolver are all that such a guest reaches.
          `user,id=${id},restrict=on`;
    return ['-netdev', netdev, '-device', `virtio-net-device,netdev=${id},mac=${nic.mac}`];
  });
}

/**
 * All CPU features that TCG can emulate, except two flags that make Linux guests copy memory with `rep
 * movsb`, which TCG executes byte by byte. Without them, copies in the guest are four to seven times faster
 * (dd from /dev/zero, QEMU 7.2).
 */
const tcgCpu = 'max,-erms,-fsrm';

/** Nested virtualisation would expose rarely exercised code of the host's kernel to the guest. */
const withoutNesting = ',-vmx,-svm';

/** A guest to be restored has its kernel in its memory, and waits for that. */
function sourceArguments(source: QemuSpec['source'], facts: CommandLineFacts): readonly string[] {
  if (source.kind === 'restore') return ['-incoming', 'defer'];
  const { kernelPath, initrdPath } = source;
  return ['-kernel', kernelPath, '-initrd', initrdPath, '-append', kernelArguments(source, facts)];
}

/** The arguments after the program's name. */
export function qemuArguments(spec: QemuSpec, facts: CommandLineFacts): readonly string[] {
  const nesting = facts.hasNesting ? '' : withoutNesting;
  const acceleration =
    facts.accelerator === 'kvm'
      ? ['-accel', 'kvm', '-cpu', `host${nesting}`]
      : ['-accel', `tcg,tb-size=${tcgBufferMib}`, '-cpu', `${tcgCpu}${nesting}`];
  return [
    '-name',
    vmmName(spec.incarnation),
    '-M',
    `microvm,acpi=${facts.hasAcpi ? 'on' : 'off'}`,
    ...acceleration,
    '-m',
    `${spec.memoryMib}M`,
    '-smp',
    `cpus=${spec.vcpuCount}`,
    '-nodefaults',
    '-no-user-config',
    '-display',
    'none',
    // A guest that powers off or resets leaves QEMU paused, so that the exit is still visible after a daemon
    // restart.
    '-action',
    'reboot=shutdown,shutdown=pause',
    '-sandbox',
    'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny',
    '-chardev',
    `socket,id=qmp,path=${escapeOption(facts.qmpSocket)},server=on,wait=off`,
    '-mon',
    'chardev=qmp,mode=control',
    '-chardev',
    `file,id=console,path=${escapeOption(facts.consoleFile)},append=on`,
    '-serial',
    'chardev:console',
    ...sourceArguments(spec.source, facts),
    '-device',
    'virtio-serial-device',
    '-chardev',
    `socket,id=agent,path=${escapeOption(facts.agentSocket)},server=on,wait=off`,
    '-device',
    // The id makes QEMU report when the guest opens and closes the port.
    'virtserialport,chardev=agent,name=agent.0,id=agent.0',
    ...spec.disks.flatMap(diskArguments),
    ...nicArguments(spec.nics),
    '-device',
    'virtio-rng-device',
    '-device',
    'virtio-balloon-device,id=balloon0,free-page-reporting=on,deflate-on-oom=on',
  ];
}

/** Identifies a command line in a record without storing it. */
export function argumentsDigest(args: readonly string[]): string {
  return createHash('sha256').update(args.join('\0')).digest('hex');
}

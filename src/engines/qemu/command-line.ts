/**
 * The QEMU command line of one incarnation. Pure: what goes in decides what comes out, byte for byte, so that the
 * golden test is the review of every change.
 */
import { createHash } from 'node:crypto';
import type { DiskAttachment, LaunchSource, LaunchSpec } from '../../core/ports/engine.ts';

type KernelBoot = Extract<LaunchSource, { readonly kind: 'kernel' }>;
/** What QEMU starts today. */
export type KernelSpec = LaunchSpec & { readonly source: KernelBoot };

export type Accelerator = 'kvm' | 'tcg';

/** What the command line needs to know besides the spec. */
export interface CommandLineFacts {
  readonly accelerator: Accelerator;
  /** Frequency of the time stamp counter that TCG shows its guests: the host's own. Unused under KVM. */
  readonly tscKhz: number;
  /**
   * Distribution kernels learn of virtio-mmio devices from ACPI only. A kernel built with
   * CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES boots faster without it.
   */
  readonly hasAcpi: boolean;
  /** Whether guests see the processor's extensions for running guests of their own. */
  readonly hasNesting: boolean;
  readonly qmpSocket: string;
  readonly agentSocket: string;
  readonly consoleFile: string;
}

/** Size of TCG's translation buffer. A larger one gained nothing when measured; QEMU's own default is 1 GiB. */
export const tcgBufferMib = 64;

/** The process name that marks a VMM as ours and tells whose it is. */
export function vmmName(incarnation: string): string {
  return `flotilla-${incarnation}`;
}

/** QEMU's option syntax doubles a comma inside a value. */
export function escapeOption(value: string): string {
  return value.replaceAll(',', ',,');
}

function kernelArguments(source: KernelBoot, facts: CommandLineFacts): string {
  const own = ['console=ttyS0', 'quiet', 'panic=-1', 'reboot=t'];
  if (facts.accelerator === 'tcg') {
    // Without a given frequency a guest under TCG cannot calibrate its clock: with ACPI it hangs, without it drifts.
    own.push(`tsc_early_khz=${facts.tscKhz}`, 'tsc=reliable', 'no_timer_check', 'noreplace-smp');
    // QEMU's APIC bus runs at 1 GHz; the project's kernel takes that as given and skips 200 ms of measuring.
    if (!facts.hasAcpi) own.push('lapic_timer_khz=1000000');
  }
  return [...own, source.kernelArgs.trim()].filter((part) => part !== '').join(' ');
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
  // The guest finds its root disk by serial: the order of virtio-mmio devices is no promise. Write errors keep QEMU's
  // default: no space left pauses the machine, anything else is told to the guest.
  const serial = index === 0 ? 'root' : id;
  return ['-drive', drive.join(','), '-device', `virtio-blk-device,drive=${id},serial=${serial}`];
}

/**
 * All that TCG can emulate, but for the two flags that make a Linux guest copy memory by `rep movsb`, which TCG runs a
 * byte at a time: without them copies in the guest are four to seven times as fast (dd from /dev/zero, QEMU 7.2).
 */
const tcgCpu = 'max,-erms,-fsrm';

/** A guest that could run guests of its own would reach code of the host's kernel that few others exercise. */
const withoutNesting = ',-vmx,-svm';

/** The arguments after the program's name. */
export function qemuArguments(spec: KernelSpec, facts: CommandLineFacts): readonly string[] {
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
    // A guest that powered off or reset leaves QEMU paused, so that the fact outlives a daemon that was not looking.
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
    '-kernel',
    spec.source.kernelPath,
    '-initrd',
    spec.source.initrdPath,
    '-append',
    kernelArguments(spec.source, facts),
    '-device',
    'virtio-serial-device',
    '-chardev',
    `socket,id=agent,path=${escapeOption(facts.agentSocket)},server=on,wait=off`,
    '-device',
    // With an id QEMU tells when the guest opens and closes the port.
    'virtserialport,chardev=agent,name=agent.0,id=agent.0',
    ...spec.disks.flatMap(diskArguments),
    '-device',
    'virtio-rng-device',
    '-device',
    'virtio-balloon-device,id=balloon0,free-page-reporting=on,deflate-on-oom=on',
  ];
}

/** Tells two command lines apart in a record without keeping them. */
export function argumentsDigest(args: readonly string[]): string {
  return createHash('sha256').update(args.join('\0')).digest('hex');
}

/** Facts about this host that the driver reads once. */
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { EngineCapabilities, MachineOption } from '../../core/ports/engine.ts';

/** MicroVM kernels are built for at most this many CPUs. */
const vcpuCountLimit = 32;
/** Debian's cloud kernel boots with 80 MiB and a small initramfs, but not with 64. */
const memoryMibMin = 96;

export function qemuCapabilities(): EngineCapabilities {
  return {
    vcpuCountMax: Math.min(availableParallelism(), vcpuCountLimit),
    memoryMibMin,
    memoryMibMax: Math.floor(totalmem() / (1024 * 1024)),
    diskFormats: ['qcow2', 'raw'],
    missing: missingOptions(existsSync),
  };
}

/** What the engine does not do, and the device that this host lacks for it. `has`: whether a path exists. */
export function missingOptions(has: (path: string) => boolean): Readonly<Record<MachineOption, string>> {
  const without = (reason: string, device: string, what: string) =>
    has(device) ? reason : `${reason}, and the host has no ${what} (${device})`;
  const devices = 'the engine passes no host devices to guests';
  const firmware = 'guests boot a kernel directly, without firmware that could verify it';
  const encryption = 'the engine does not encrypt guests’ memory';
  return {
    gpu_passthrough: without(devices, '/dev/vfio/vfio', 'VFIO'),
    virtual_gpu: without(devices, '/sys/class/mdev_bus', 'mediated devices'),
    secure_boot: firmware,
    virtual_tpm: without('the engine gives guests no TPM', '/usr/bin/swtpm', 'TPM emulator'),
    sev_memory_encryption: without(encryption, '/dev/sev', 'AMD SEV'),
    tdx_memory_encryption: without(encryption, '/sys/module/kvm_intel/parameters/tdx', 'Intel TDX'),
  };
}

/**
 * The time stamp counter's frequency from the text of /proc/cpuinfo: two BogoMIPS per MHz. Null when unknown.
 */
export function parseTscKhz(cpuinfo: string): number | null {
  const bogomips = Number(/^bogomips\s*:\s*([\d.]+)$/im.exec(cpuinfo)?.[1]);
  return Number.isFinite(bogomips) && bogomips > 0 ? Math.round(bogomips * 500) : null;
}

export function readTscKhz(): number | null {
  return parseTscKhz(readFileSync('/proc/cpuinfo', 'utf8'));
}

/** The processor's name, from the text of /proc/cpuinfo; null when unknown. */
export function parseProcessor(cpuinfo: string): string | null {
  return /^model name\s*:\s*(.+)$/m.exec(cpuinfo)?.[1]?.trim() ?? null;
}

export function readProcessor(): string | null {
  return parseProcessor(readFileSync('/proc/cpuinfo', 'utf8'));
}

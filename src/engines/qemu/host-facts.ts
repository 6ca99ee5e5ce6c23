/** Facts about this host that the driver reads once. */
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { EngineCapabilities } from '../../core/ports/engine.ts';

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

/** From a request to a spec: defaults and the limits that need no look at the host. */
import { AppError } from '../errors.ts';
import type { EngineCapabilities } from '../ports/engine.ts';
import type { Image } from '../ports/images.ts';
import type { MachineSpec, RestartPolicy } from './machine.ts';

/** What a caller may leave out is absent. */
export interface CreateRequest {
  readonly name: string;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib?: number | undefined;
  readonly image?: string | undefined;
  readonly engine?: string | undefined;
  readonly boot?: 'auto' | 'cold' | undefined;
  readonly exposedPorts?: readonly number[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly restart?: RestartPolicy | undefined;
  /** From its creation to its deletion. */
  readonly lifetimeSeconds?: number | undefined;
}

export interface MachineDefaults {
  readonly image: string;
  readonly engine: string;
  readonly diskMib: number;
}

/**
 * 4 TiB. A guest's kernel keeps some 3 MiB of memory for each TiB of its root file system; with 16 TiB, ext4's own limit
 * with 4 KiB blocks, programs were killed for lack of it in the smallest machines.
 */
export const diskMibMax = 4 * 1024 * 1024;

/** Fills in the defaults; checks against what this host's engine can do. Raises `invalid`. */
export function makeSpec(
  request: CreateRequest,
  defaults: MachineDefaults,
  image: Image,
  capabilities: EngineCapabilities,
): MachineSpec {
  const diskMib = request.diskMib ?? Math.max(defaults.diskMib, image.rootMib);
  if (diskMib < image.rootMib) {
    throw limit(`image '${image.name}' needs a disk of at least ${image.rootMib} MiB, not ${diskMib}`);
  }
  requireHardware({ ...request, diskMib }, capabilities);
  return {
    name: request.name,
    vcpuCount: request.vcpuCount,
    memoryMib: request.memoryMib,
    diskMib,
    image: image.name,
    engine: request.engine ?? defaults.engine,
    boot: request.boot ?? 'auto',
    exposedPorts: [...new Set(request.exposedPorts ?? [])],
    labels: request.labels ?? {},
    env: request.env ?? {},
    restart: request.restart ?? 'no',
  };
}

/** Raises `invalid` for more than this host's engine can give a machine. */
export function requireHardware(
  { vcpuCount, memoryMib, diskMib }: Pick<MachineSpec, 'vcpuCount' | 'memoryMib' | 'diskMib'>,
  { vcpuCountMax, memoryMibMax }: EngineCapabilities,
): void {
  if (vcpuCount > vcpuCountMax)
    throw limit(`this host runs machines of at most ${vcpuCountMax} vCPUs, not ${vcpuCount}`);
  if (memoryMib > memoryMibMax)
    throw limit(`this host runs machines of at most ${memoryMibMax} MiB of memory, not ${memoryMib}`);
  if (diskMib > diskMibMax) throw limit(`a disk has at most ${diskMibMax} MiB, not ${diskMib}`);
}

function limit(message: string): AppError {
  return new AppError('invalid', message);
}

/** Turns a request into a spec: applies defaults and the limits that do not depend on the host's state. */
import { AppError } from '../errors.ts';
import type { EngineCapabilities } from '../ports/engine.ts';
import type { Image } from '../ports/images.ts';
import type { MachineSpec, RestartPolicy } from './machine.ts';
import { checkName } from './names.ts';

/** Absent fields get defaults. */
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
  /** From creation to deletion. */
  readonly lifetimeSeconds?: number | undefined;
}

export interface MachineDefaults {
  readonly image: string;
  readonly engine: string;
  readonly diskMib: number;
}

/**
 * 4 TiB. A guest's kernel uses about 3 MiB of memory per TiB of its root file system. With 16 TiB, ext4's
 * limit for 4 KiB blocks, the smallest machines ran out of memory.
 */
export const diskMibMax = 4 * 1024 * 1024;

/** Applies defaults and checks the request against this host's engine. Raises `invalid`. */
export function makeSpec(
  request: CreateRequest,
  defaults: MachineDefaults,
  image: Image,
  capabilities: EngineCapabilities,
): MachineSpec {
  checkName(request.name);
  const diskMib = request.diskMib ?? Math.max(defaults.diskMib, image.rootMib);
  if (diskMib < image.rootMib) {
    throw limit(`image '${image.name}' needs a disk of at least ${image.rootMib} MiB, not ${diskMib}`);
  }
  requireMemory(request.memoryMib, image, capabilities);
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

/** Throws `invalid` when the image or the engine needs more memory: the machine could never start. */
function requireMemory(memoryMib: number, image: Image, capabilities: EngineCapabilities): void {
  const memoryMibMin = Math.max(image.memoryMibMin, capabilities.memoryMibMin);
  if (memoryMib >= memoryMibMin) return;
  throw new AppError(
    'invalid',
    `image '${image.name}' needs at least ${memoryMibMin} MiB of memory, not ${memoryMib}`,
    { hint: `Create the machine with ${memoryMibMin} MiB or more.` },
  );
}

/** Raises `invalid` when the request exceeds what this host's engine can give a machine. */
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

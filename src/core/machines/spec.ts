/** Turns a request into a spec: applies defaults and the limits that do not depend on the host's state. */
import { AppError } from '../errors.ts';
import type { NetworkRequest } from '../network/requests.ts';
import type { EngineCapabilities, MachineOption } from '../ports/engine.ts';
import type { Image } from '../ports/images.ts';
import { guestTasks, readMachineKeys, withUserDataKeys } from '../ssh/machine-keys.ts';
import type { SshPortRequest } from '../ssh/machine-ports.ts';
import type { UserData } from '../user-data/user-data.ts';
import type { ExpiryAction, IdlePolicy, LifetimeCounts, MachineSpec, RestartPolicy } from './machine.ts';
import { checkName } from './names.ts';

/** Absent fields get the template's values if one is named, and defaults otherwise. */
export interface CreateRequest {
  readonly name: string;
  /** Id or name of a template, for the fields that are absent here. */
  readonly template?: string | undefined;
  /** What it is made from, instead of an image. `snapshot`: its id or name. */
  readonly source?: { readonly kind: 'snapshot'; readonly snapshot: string } | undefined;
  readonly vcpuCount?: number | undefined;
  readonly memoryMib?: number | undefined;
  readonly diskMib?: number | undefined;
  readonly image?: string | undefined;
  readonly engine?: string | undefined;
  readonly boot?: 'auto' | 'cold' | undefined;
  readonly exposedPorts?: readonly number[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly restart?: RestartPolicy | undefined;
  readonly autoWake?: boolean | undefined;
  readonly idle?: IdlePolicy | null | undefined;
  /** From creation to the end of its lifetime. */
  readonly lifetimeSeconds?: number | undefined;
  readonly onExpire?: ExpiryAction | undefined;
  readonly lifetimeCounts?: LifetimeCounts | undefined;
  /** What the machine must have; refused when this host's engine has not all of it. */
  readonly options?: readonly MachineOption[] | undefined;
  /** See `parseUserData` and `mergeUserData`. */
  readonly userData?: UserData | null | undefined;
  /** See `readMachineKeys`. */
  readonly sshKeys?: readonly string[] | undefined;
  readonly sshPort?: SshPortRequest | undefined;
  readonly network?: NetworkRequest | undefined;
}

export interface MachineDefaults {
  readonly image: string;
  readonly engine: string;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib: number;
}

const mibPerTib = 1024 * 1024;

/** 4 TiB. With 16 TiB, ext4's limit for 4 KiB blocks, a guest needs 128 MiB of memory for the disk alone. */
export const diskMibMax = 4 * mibPerTib;

/**
 * Memory that a guest's kernel needs for each TiB of its root file system, beside what its image needs: about
 * 3 MiB when mounted (Linux 6.1), and more while it looks for free blocks. A guest of 96 MiB with a disk of
 * 4 TiB stopped with "System is deadlocked on memory".
 */
const memoryMibPerDiskTib = 8;

/** A spec before it has an address and ports of the host. */
export type SpecPlan = Omit<MachineSpec, 'network' | 'sshPort'>;

/** Applies defaults and checks the request against this host's engine. Raises `invalid`, `unsupported`. */
export function makeSpec(
  request: CreateRequest,
  defaults: MachineDefaults,
  image: Image,
  capabilities: EngineCapabilities,
  made: Pick<MachineSpec, 'template' | 'snapshot'> = { template: null, snapshot: null },
): SpecPlan {
  checkName(request.name);
  const { vcpuCount = defaults.vcpuCount, memoryMib = defaults.memoryMib } = request;
  requireOptions(request.options ?? [], capabilities);
  const diskMib = request.diskMib ?? Math.max(defaults.diskMib, image.rootMib);
  requireDisk(diskMib, image);
  requireMemory({ memoryMib, diskMib }, image, capabilities);
  requireHardware({ vcpuCount, memoryMib, diskMib }, capabilities);
  const { userData = null } = request;
  const sshKeys = withUserDataKeys(readMachineKeys(request.sshKeys ?? []), userData);
  guestTasks(userData, sshKeys);
  return {
    name: request.name,
    vcpuCount,
    memoryMib,
    diskMib,
    image: image.name,
    imageRef: request.image ?? image.name,
    engine: request.engine ?? defaults.engine,
    boot: request.boot ?? 'auto',
    exposedPorts: [...new Set(request.exposedPorts ?? [])],
    labels: request.labels ?? {},
    env: request.env ?? {},
    restart: request.restart ?? 'no',
    autoWake: request.autoWake ?? true,
    heldUntil: null,
    idle: request.idle ?? null,
    template: made.template,
    snapshot: made.snapshot,
    userData,
    sshKeys,
    lifetimeSeconds: request.lifetimeSeconds ?? null,
    onExpire: request.onExpire ?? 'delete',
    lifetimeCounts: request.lifetimeCounts ?? 'unless_paused',
  };
}

/** Raises `invalid` when the image, the engine or the disk needs more memory: the machine could never start. */
export function requireMemory(
  { memoryMib, diskMib }: Pick<MachineSpec, 'memoryMib' | 'diskMib'>,
  image: Pick<Image, 'name' | 'memoryMibMin'>,
  capabilities: Pick<EngineCapabilities, 'memoryMibMin'>,
): void {
  const forDiskMib = Math.floor(diskMib / mibPerTib) * memoryMibPerDiskTib;
  const memoryMibMin = Math.max(image.memoryMibMin + forDiskMib, capabilities.memoryMibMin);
  if (memoryMib >= memoryMibMin) return;
  const withDisk = forDiskMib === 0 ? '' : ` with a disk of ${diskMib} MiB`;
  throw limit(
    `image '${image.name}'${withDisk} needs at least ${memoryMibMin} MiB of memory, not ${memoryMib}`,
    `Ask for ${memoryMibMin} MiB or more${forDiskMib === 0 ? '' : ', or for a smaller disk'}.`,
  );
}

/** Raises `invalid` when the image does not fit on the disk. */
export function requireDisk(diskMib: number, { name, rootMib }: Pick<Image, 'name' | 'rootMib'>): void {
  if (diskMib < rootMib)
    throw limit(
      `image '${name}' needs a disk of at least ${rootMib} MiB, not ${diskMib}`,
      `Ask for ${rootMib} MiB or more.`,
    );
}

/** Raises `invalid` when the request exceeds what this host's engine can give a machine. */
export function requireHardware(
  { vcpuCount, memoryMib, diskMib }: Pick<MachineSpec, 'vcpuCount' | 'memoryMib' | 'diskMib'>,
  { vcpuCountMax, memoryMibMax }: EngineCapabilities,
): void {
  if (vcpuCount > vcpuCountMax)
    throw limit(
      `this host runs machines of at most ${vcpuCountMax} vCPUs, not ${vcpuCount}`,
      `Ask for ${vcpuCountMax} or fewer.`,
    );
  if (memoryMib > memoryMibMax)
    throw limit(
      `this host runs machines of at most ${memoryMibMax} MiB of memory, not ${memoryMib}`,
      `Ask for ${memoryMibMax} MiB or less.`,
    );
  if (diskMib > diskMibMax)
    throw limit(`a disk has at most ${diskMibMax} MiB, not ${diskMib}`, `Ask for ${diskMibMax} MiB or less.`);
}

/** Raises `unsupported` for the first option that this host's engine does not have. */
export function requireOptions(options: readonly MachineOption[], { missing }: EngineCapabilities): void {
  for (const option of options) {
    const reason = missing[option];
    if (reason === undefined) continue;
    throw new AppError(
      'unsupported',
      `this host has no ${option.replaceAll('_', ' ')} for machines: ${reason}`,
      {
        hint: 'Create the machine without it.',
        details: { option },
      },
    );
  }
}

function limit(message: string, hint: string): AppError {
  return new AppError('invalid', message, { hint });
}

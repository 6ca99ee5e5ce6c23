/**
 * Decides which changes to an existing machine are allowed: names, labels, environment, exposed ports, lifetime and
 * policies at any time, hardware only while stopped. Pure; `service.ts` writes the result. The next start
 * enlarges the disk.
 */
import { timeAfter } from '../../lib/times.ts';
import { AppError } from '../errors.ts';
import type { NetworkChange } from '../network/change.ts';
import type { EngineCapabilities } from '../ports/engine.ts';
import type { Image } from '../ports/images.ts';
import type { MachineDetails } from '../ports/store.ts';
import { guestTasks, readMachineKeys } from '../ssh/machine-keys.ts';
import type { SshPortRequest } from '../ssh/machine-ports.ts';
import { idleTime } from './idle-policy.ts';
import { type LifetimeTimes, lifetimeIn, newLifetime } from './lifetime.ts';
import { stateConflict } from './lookup.ts';
import type {
  ExpiryAction,
  IdlePolicy,
  LifetimeCounts,
  Machine,
  MachineSpec,
  RestartPolicy,
} from './machine.ts';
import { checkName } from './names.ts';
import { requireHardware, requireMemory } from './spec.ts';
import { decide } from './states.ts';

/** Null removes an entry. */
type Changes = Readonly<Record<string, string | null>>;

/** Absent fields stay unchanged. */
export interface UpdateRequest {
  readonly name?: string | undefined;
  readonly labels?: Changes | undefined;
  readonly env?: Changes | undefined;
  /** All of them: what is not named is not exposed any more. */
  readonly exposedPorts?: readonly number[] | undefined;
  /** Changes to those that the machine has at that moment, so that of two changes none undoes the other. */
  readonly exposedPortsAdd?: readonly number[] | undefined;
  readonly exposedPortsRemove?: readonly number[] | undefined;
  readonly restart?: RestartPolicy | undefined;
  readonly autoWake?: boolean | undefined;
  /** Null: no policy. */
  readonly idle?: IdlePolicy | null | undefined;
  /** For how long from now the idle policy does not act; null: it acts as before. */
  readonly holdSeconds?: number | null | undefined;
  /** From now to the end of its lifetime, or from when it goes on if it stands still; null: no lifetime. */
  readonly lifetimeSeconds?: number | null | undefined;
  readonly onExpire?: ExpiryAction | undefined;
  readonly lifetimeCounts?: LifetimeCounts | undefined;
  readonly vcpuCount?: number | undefined;
  readonly memoryMib?: number | undefined;
  readonly diskMib?: number | undefined;
  /** All of them; see `readMachineKeys`. */
  readonly sshKeys?: readonly string[] | undefined;
  /** Null: none. */
  readonly sshPort?: SshPortRequest | undefined;
  readonly network?: NetworkChange | undefined;
}

/** Limit of labels and of environment variables; every list loads them, so they must stay small. */
export const entriesMax = 64;
export const entriesBytesMax = 16 * 1024;
export const exposedPortsMax = 256;

/** What limits a machine's hardware. */
export interface HardwareLimits {
  readonly capabilities: EngineCapabilities;
  /** The machine's image; null when no name refers to it any more, or no hardware is to change. */
  readonly image: Image | null;
}

/** The changes to write. Raises `invalid` for impossible values, `conflict` when the state forbids them. */
export function planUpdate(
  machine: Machine,
  request: UpdateRequest,
  limits: HardwareLimits,
  now: Date,
): MachineDetails {
  const { spec, state } = machine;
  if (state === 'deleting' || state === 'deleted') throw stateConflict('update', machine);
  const changed: MachineSpec = {
    ...spec,
    name: request.name ?? spec.name,
    vcpuCount: request.vcpuCount ?? spec.vcpuCount,
    memoryMib: request.memoryMib ?? spec.memoryMib,
    diskMib: request.diskMib ?? spec.diskMib,
    exposedPorts: exposedPorts(spec, request),
    restart: request.restart ?? spec.restart,
    autoWake: request.autoWake ?? spec.autoWake,
    idle: request.idle === undefined ? spec.idle : request.idle,
    heldUntil: request.holdSeconds === undefined ? spec.heldUntil : endOf(request.holdSeconds, now),
    labels: merged('labels', spec.labels, request.labels),
    env: merged('env', spec.env, request.env),
    sshKeys: request.sshKeys === undefined ? spec.sshKeys : readMachineKeys(request.sshKeys),
    lifetimeSeconds: request.lifetimeSeconds === undefined ? spec.lifetimeSeconds : request.lifetimeSeconds,
    onExpire: request.onExpire ?? spec.onExpire,
    lifetimeCounts: request.lifetimeCounts ?? spec.lifetimeCounts,
  };
  if (changed.name !== spec.name) checkName(changed.name);
  checkHardware(machine, changed, limits);
  guestTasks(changed.userData, changed.sshKeys);
  return {
    spec: changed,
    ...changedLifetime(machine, changed, request, now),
    ...(request.idle === undefined ? {} : { idleAt: idleTime(changed, state, now) }),
    ...(changed.restart === 'no' && machine.restartAt !== null ? { restartAt: null } : {}),
  };
}

function exposedPorts(
  spec: Pick<MachineSpec, 'exposedPorts'>,
  { exposedPorts: all, exposedPortsAdd: added = [], exposedPortsRemove: removed = [] }: UpdateRequest,
): readonly number[] {
  if (all === undefined && added.length === 0 && removed.length === 0) return spec.exposedPorts;
  const gone = new Set(removed);
  const ports = [...new Set([...(all ?? spec.exposedPorts), ...added])].filter((port) => !gone.has(port));
  if (ports.length <= exposedPortsMax) return ports;
  throw new AppError('invalid', `a machine exposes at most ${exposedPortsMax} ports`);
}

/** Empty when the request does not concern the lifetime. */
function changedLifetime(
  machine: Machine,
  spec: MachineSpec,
  { lifetimeSeconds, onExpire, lifetimeCounts }: UpdateRequest,
  now: Date,
): Partial<LifetimeTimes> {
  if (lifetimeSeconds === undefined && onExpire === undefined && lifetimeCounts === undefined) return {};
  const times = lifetimeSeconds === undefined ? machine : newLifetime(lifetimeSeconds, now);
  return lifetimeIn({ ...times, spec }, machine.state, now);
}

/** When a time that begins now ends; null: never. */
function endOf(seconds: number | null, now: Date): string | null {
  return seconds === null ? null : timeAfter(now, seconds * 1000);
}

function checkHardware(
  machine: Machine,
  changed: MachineSpec,
  { capabilities, image }: HardwareLimits,
): void {
  const { spec, state, handle } = machine;
  const isSame =
    changed.vcpuCount === spec.vcpuCount &&
    changed.memoryMib === spec.memoryMib &&
    changed.diskMib === spec.diskMib;
  if (isSame) return;
  // A failed machine may still have a VMM, whose memory is accounted for.
  if (decide('update', state).verdict !== 'accept' || handle !== null) throw stateConflict('update', machine);
  if (changed.diskMib < spec.diskMib) {
    throw new AppError('invalid', `a disk cannot shrink: it has ${spec.diskMib} MiB`, {
      hint: 'Ask for a larger disk, or create another machine.',
    });
  }
  const isMemoryAffected = changed.memoryMib !== spec.memoryMib || changed.diskMib !== spec.diskMib;
  if (image !== null && isMemoryAffected) requireMemory(changed, image, capabilities);
  requireHardware(changed, capabilities);
}

function merged(
  what: string,
  before: Readonly<Record<string, string>>,
  changes: Changes = {},
): Readonly<Record<string, string>> {
  const after = new Map(Object.entries(before));
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) after.delete(key);
    else after.set(key, value);
  }
  const result = Object.fromEntries(after);
  if (after.size > entriesMax) throw new AppError('invalid', `${what} must be at most ${entriesMax}`);
  if (Buffer.byteLength(JSON.stringify(result)) > entriesBytesMax) {
    throw new AppError('invalid', `${what} must take at most ${entriesBytesMax} bytes in all`);
  }
  return result;
}

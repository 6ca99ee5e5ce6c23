/**
 * Decides which changes to an existing machine are allowed: names, labels, environment, lifetime and restart
 * policy at any time, hardware only while stopped. Pure; `service.ts` writes the result. The next start
 * enlarges the disk.
 */
import { timeAfter } from '../../lib/times.ts';
import { AppError } from '../errors.ts';
import type { EngineCapabilities } from '../ports/engine.ts';
import type { MachineDetails } from '../ports/store.ts';
import { stateConflict } from './lookup.ts';
import type { Machine, MachineSpec, RestartPolicy } from './machine.ts';
import { checkName } from './names.ts';
import { requireHardware } from './spec.ts';
import { decide } from './states.ts';

/** Null removes an entry. */
type Changes = Readonly<Record<string, string | null>>;

/** Absent fields stay unchanged. */
export interface UpdateRequest {
  readonly name?: string | undefined;
  readonly labels?: Changes | undefined;
  readonly env?: Changes | undefined;
  readonly restart?: RestartPolicy | undefined;
  /** From now to its deletion; null: never deleted. */
  readonly lifetimeSeconds?: number | null | undefined;
  readonly vcpuCount?: number | undefined;
  readonly memoryMib?: number | undefined;
  readonly diskMib?: number | undefined;
}

/** Limit of labels and of environment variables; every list loads them, so they must stay small. */
export const entriesMax = 64;
export const entriesBytesMax = 16 * 1024;

/** The changes to write. Raises `invalid` for impossible values, `conflict` when the state forbids them. */
export function planUpdate(
  machine: Machine,
  request: UpdateRequest,
  capabilities: EngineCapabilities,
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
    restart: request.restart ?? spec.restart,
    labels: merged('labels', spec.labels, request.labels),
    env: merged('env', spec.env, request.env),
  };
  if (changed.name !== spec.name) checkName(changed.name);
  checkHardware(machine, changed, capabilities);
  return {
    spec: changed,
    ...(request.lifetimeSeconds === undefined ? {} : { expiresAt: expiry(request.lifetimeSeconds, now) }),
    ...(changed.restart === 'no' && machine.restartAt !== null ? { restartAt: null } : {}),
  };
}

/** When a lifetime that begins now ends. */
export function expiry(lifetimeSeconds: number | null | undefined, now: Date): string | null {
  return lifetimeSeconds == null ? null : timeAfter(now, lifetimeSeconds * 1000);
}

function checkHardware(machine: Machine, changed: MachineSpec, capabilities: EngineCapabilities): void {
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

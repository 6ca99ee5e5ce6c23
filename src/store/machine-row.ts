/**
 * Converts a machine to a row and back, validating in both directions, so that a bug is found where it
 * happens.
 */
import { z } from 'zod';
import { checkMachine } from '../core/machines/invariants.ts';
import {
  expiryActions,
  type ListedMachine,
  type Machine,
  type MachineSpec,
} from '../core/machines/machine.ts';
import { machineStates } from '../core/machines/states.ts';
import type { SubjectFailure } from '../core/operations/operation.ts';
import type { EngineHandle } from '../core/ports/engine.ts';
import type { SavedMemory } from '../core/ports/saved-memory.ts';
import { fingerprintsOf } from '../core/ssh/ssh-key.ts';
import { type Provisioning, provisioningStates } from '../core/user-data/user-data.ts';
import { invariant } from '../lib/invariant.ts';
import type { ListedRow } from './machine-list.ts';
import {
  decodeJson,
  decodeNullableJson,
  encodeJson,
  encodeNullableJson,
  encodeNullableTime,
  encodeTime,
  type MachineLabelTable,
  type MachineSshKeyTable,
  type MachineTable,
} from './schema.ts';
import { decodeSpec, encodeSpec, network, portNumber, spec, upgradeSpec } from './spec-row.ts';
import { validate } from './validate.ts';

const provisioning: z.ZodType<Provisioning> = z.strictObject({
  state: z.enum(provisioningStates),
  message: z.string().nullable(),
  at: z.string(),
});

const savedMemory: z.ZodType<SavedMemory> = z.strictObject({
  incarnation: z.string(),
  operationId: z.string(),
  savedAt: z.string(),
  machineId: z.string().optional(),
});

const handle: z.ZodType<EngineHandle> = z.object({
  engine: z.string(),
  version: z.number(),
  incarnation: z.string(),
  guest: z.discriminatedUnion('transport', [
    z.strictObject({ transport: z.literal('virtio-serial'), path: z.string() }),
    z.strictObject({
      transport: z.literal('unix'),
      path: z.string(),
      connectPort: z.number().nullable(),
    }),
    z.strictObject({ transport: z.literal('memory'), key: z.string() }),
  ]),
  pid: z.number().nullable(),
  controlSocket: z.string().nullable(),
  kernelArgs: z.string().nullable().optional(),
  restoredFrom: z.string().nullable().optional(),
  data: z.unknown(),
});

const failure: z.ZodType<SubjectFailure> = z.strictObject({
  code: z.string(),
  message: z.string(),
  at: z.string(),
  console: z.array(z.string()),
});

const machine: z.ZodType<Machine> = z.strictObject({
  id: z.string().min(1),
  hostId: z.string(),
  tenant: z.string(),
  environmentId: z.string().nullable(),
  spec,
  imageDigest: z.string(),
  state: z.enum(machineStates),
  desired: z.enum(['running', 'stopped', 'deleted']),
  operationId: z.string().nullable(),
  incarnation: z.string().nullable(),
  bootId: z.string().nullable(),
  handle: handle.nullable(),
  failure: failure.nullable(),
  slot: z.number(),
  revision: z.number(),
  createdAt: z.string(),
  updatedAt: z.string(),
  startedAt: z.string().nullable(),
  expiresAt: z.string().nullable(),
  remainingMs: z.int().min(0).nullable(),
  restartAt: z.string().nullable(),
  restartCount: z.int().min(0),
  idleAt: z.string().nullable(),
  provisioning: provisioning.nullable(),
  savedMemory: savedMemory.nullable(),
});

/** A machine recorded by any version of this program, as it would be read back after writing. Raises InvariantError when it cannot be stored. */
export function parseMachine(value: unknown): Machine {
  const newer = {
    environmentId: null,
    expiresAt: null,
    remainingMs: null,
    restartAt: null,
    restartCount: 0,
    idleAt: null,
    provisioning: null,
    savedMemory: null,
  };
  const recorded = { ...newer, ...Object(value) } as Machine;
  return decodeMachine(encodeMachine({ ...recorded, spec: upgradeSpec(recorded.spec) as MachineSpec }));
}

/** Raises InvariantError when the machine violates an invariant. */
export function encodeMachine(value: Machine): MachineTable {
  const checked = check(value);
  return {
    id: checked.id,
    host_id: checked.hostId,
    tenant: checked.tenant,
    environment_id: checked.environmentId,
    slot: checked.slot,
    image: checked.spec.image,
    image_ref: checked.spec.imageRef,
    created_at: encodeTime(checked.createdAt),
    ...encodeSpecColumns(checked),
    ...encodeChanging(checked),
  };
}

function encodeSpecColumns({ spec }: Machine) {
  return {
    name: spec.name,
    vcpu_count: spec.vcpuCount,
    memory_mib: spec.memoryMib,
    disk_mib: spec.diskMib,
    ...encodeSpec(spec),
  } satisfies Partial<MachineTable>;
}

/** The rows of its labels, for the table that filters lists. */
export function encodeLabels({ id, spec }: Machine): readonly MachineLabelTable[] {
  return Object.entries(spec.labels).map(([key, value]) => ({
    machine_id: id,
    key: encodeJson(key),
    value: encodeJson(value),
  }));
}

/** The rows of its SSH keys, for the table that finds it by them. */
export function encodeSshKeys({ id, spec }: Machine): readonly MachineSshKeyTable[] {
  return fingerprintsOf(spec.sshKeys).map((fingerprint) => ({ machine_id: id, fingerprint }));
}

/** The columns that change with a machine's state. Raises InvariantError like `encodeMachine`. */
export function encodeChanges(value: Machine): ReturnType<typeof encodeChanging> {
  return encodeChanging(check(value));
}

/** The columns that change without it, with those of the spec. Raises InvariantError as `encodeMachine` does. */
export function encodeDetails(value: Machine) {
  const checked = check(value);
  return { ...encodeSpecColumns(checked), ...encodeChanging(checked) };
}

function encodeChanging(value: Machine) {
  return {
    state: value.state,
    desired: value.desired,
    operation_id: value.operationId,
    incarnation: value.incarnation,
    boot_id: value.bootId,
    image_digest: value.imageDigest,
    handle: encodeNullableJson(value.handle),
    failure: encodeNullableJson(value.failure),
    updated_at: encodeTime(value.updatedAt),
    revision: value.revision,
    started_at: encodeNullableTime(value.startedAt),
    expires_at: encodeNullableTime(value.expiresAt),
    remaining_ms: value.remainingMs,
    restart_at: encodeNullableTime(value.restartAt),
    restart_count: value.restartCount,
    idle_at: encodeNullableTime(value.idleAt),
    provisioning: encodeNullableJson(value.provisioning),
    saved_memory: encodeNullableJson(value.savedMemory),
  } satisfies Partial<MachineTable>;
}

/** Raises InvariantError when this program could not have written the row. */
export function decodeMachine(row: MachineTable): Machine {
  const decoded = check({
    id: row.id,
    hostId: row.host_id,
    tenant: row.tenant,
    environmentId: row.environment_id,
    spec: decodeSpec(row, 'machines'),
    imageDigest: row.image_digest,
    state: row.state,
    desired: row.desired,
    operationId: row.operation_id,
    incarnation: row.incarnation,
    bootId: row.boot_id,
    handle: decodeNullableJson(row.handle, 'machines.handle'),
    failure: decodeNullableJson(row.failure, 'machines.failure'),
    slot: row.slot,
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    startedAt: row.started_at,
    expiresAt: row.expires_at,
    // PostgreSQL's driver gives a bigint as text.
    remainingMs: row.remaining_ms === null ? null : Number(row.remaining_ms),
    restartAt: row.restart_at,
    restartCount: row.restart_count,
    idleAt: row.idle_at,
    provisioning: decodeNullableJson(row.provisioning, 'machines.provisioning'),
    savedMemory: decodeNullableJson(row.saved_memory, 'machines.saved_memory'),
  });
  invariant(decoded.spec.name === row.name, `machine ${row.id}: two names in one row`);
  return decoded;
}

/** `value` may contain anything under the fields' names. */
function check(value: Readonly<Record<keyof Machine, unknown>>): Machine {
  const checked = validate(machine, value, `machine ${String(value.id)}`);
  const broken = checkMachine(checked);
  invariant(broken.length === 0, `machine ${checked.id}: ${broken.join('; ')}`);
  return checked;
}

const listed: z.ZodType<ListedMachine> = z.object({
  id: z.string().min(1),
  state: z.enum(machineStates),
  createdAt: z.string(),
  updatedAt: z.string(),
  expiresAt: z.string().nullable(),
  spec: z.object({
    name: z.string().min(1),
    vcpuCount: z.number(),
    memoryMib: z.number(),
    image: z.string(),
    labels: z.record(z.string(), z.string()),
    template: z.string().nullable(),
    sshPort: portNumber.nullable(),
    network,
    onExpire: z.enum(expiryActions),
  }),
});

/** What lists show of a row. Raises InvariantError as `decodeMachine` does, for what it reads. */
export function decodeListed(row: ListedRow): ListedMachine {
  const spec = upgradeSpec(decodeJson(row.spec, 'machines.spec'));
  const { id, state, created_at: createdAt, updated_at: updatedAt, expires_at: expiresAt } = row;
  const decoded = validate(listed, { id, state, createdAt, updatedAt, expiresAt, spec }, `machine ${id}`);
  invariant(decoded.spec.name === row.name, `machine ${id}: two names in one row`);
  return decoded;
}

/**
 * Converts a machine to a row and back, validating in both directions, so that a bug is found where it
 * happens.
 */
import { z } from 'zod';
import { checkMachine } from '../core/machines/invariants.ts';
import {
  idleActions,
  type ListedMachine,
  type Machine,
  type MachineSpec,
  restartPolicies,
} from '../core/machines/machine.ts';
import { machineStates } from '../core/machines/states.ts';
import { type MachineNetwork, networkModes, noNetwork } from '../core/network/machine-network.ts';
import type { SubjectFailure } from '../core/operations/operation.ts';
import type { EngineHandle } from '../core/ports/engine.ts';
import type { SavedMemory } from '../core/ports/saved-memory.ts';
import { fingerprintsOf } from '../core/ssh/ssh-key.ts';
import { type Provisioning, provisioningStates, type UserData } from '../core/user-data/user-data.ts';
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
import { validate } from './validate.ts';

const texts = z.array(z.string());
const userData: z.ZodType<UserData> = z.strictObject({
  text: z.string().nullable(),
  hostname: z.string().nullable(),
  sshAuthorizedKeys: texts,
  users: z.array(
    z.strictObject({
      name: z.string(),
      gecos: z.string().nullable(),
      groups: texts,
      sudo: texts,
      shell: z.string().nullable(),
      home: z.string().nullable(),
      sshAuthorizedKeys: texts,
    }),
  ),
  writeFiles: z.array(
    z.strictObject({
      path: z.string(),
      content: z.base64(),
      owner: z.string(),
      permissions: z.int().min(0).max(0o7777),
      isAppended: z.boolean(),
    }),
  ),
  packages: texts,
  runcmd: z.array(z.union([z.string(), texts])),
  scripts: texts,
});

const portNumber = z.int().min(1).max(65_535);
const bandwidthLimit = z.int().min(1).nullable();
const network: z.ZodType<MachineNetwork> = z.strictObject({
  mode: z.enum(networkModes),
  address: z.string().nullable(),
  lan: z
    .strictObject({
      bridge: z.string(),
      mac: z.string(),
      fixed: z
        .strictObject({
          address: z.string(),
          prefix: z.int().min(1).max(30),
          gateway: z.string().nullable(),
          resolvers: z.array(z.string()),
        })
        .nullable(),
    })
    .nullable(),
  group: z.string().nullable(),
  egress: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('allow') }),
    z.strictObject({ kind: z.literal('deny') }),
    z.strictObject({
      kind: z.literal('allowlist'),
      rules: z.array(
        z.strictObject({
          to: z.string(),
          protocol: z.enum(['tcp', 'udp', 'any']),
          ports: z.array(z.strictObject({ first: portNumber, last: portNumber })).nullable(),
        }),
      ),
    }),
  ]),
  bandwidth: z.strictObject({ egress: bandwidthLimit, ingress: bandwidthLimit }),
  ports: z.array(
    z.strictObject({
      protocol: z.enum(['tcp', 'udp']),
      bind: z.string(),
      hostPort: portNumber,
      guestPort: portNumber,
    }),
  ),
});

const provisioning: z.ZodType<Provisioning> = z.strictObject({
  state: z.enum(provisioningStates),
  message: z.string().nullable(),
  at: z.string(),
});

const savedMemory: z.ZodType<SavedMemory> = z.strictObject({
  incarnation: z.string(),
  operationId: z.string(),
  savedAt: z.string(),
});

// Strict: otherwise unknown fields would be dropped silently.
const spec: z.ZodType<MachineSpec> = z.strictObject({
  name: z.string().min(1),
  vcpuCount: z.number(),
  memoryMib: z.number(),
  diskMib: z.number(),
  image: z.string(),
  imageRef: z.string(),
  engine: z.string(),
  boot: z.enum(['auto', 'cold']),
  exposedPorts: z.array(z.number()),
  labels: z.record(z.string(), z.string()),
  env: z.record(z.string(), z.string()),
  restart: z.enum(restartPolicies),
  autoWake: z.boolean(),
  idle: z.strictObject({ afterSeconds: z.int().min(1), action: z.enum(idleActions) }).nullable(),
  heldUntil: z.string().nullable(),
  template: z.string().nullable(),
  userData: userData.nullable(),
  sshKeys: texts,
  sshPort: portNumber.nullable(),
  network,
});

/** The version of `spec` that this program writes. */
export const specVersion = 11;

/** Upgrades by start version, each to the next version. A spec without a number has version 1. */
const specUpgrades: Readonly<Record<number, (spec: Record<string, unknown>) => Record<string, unknown>>> = {
  1: (before) => ({ env: {}, restart: 'no', ...before }),
  2: (before) => ({ template: null, ...before }),
  3: (before) => ({ userData: null, ...before }),
  4: (before) => ({ imageRef: before.image, ...before }),
  5: (before) => ({ autoWake: true, idle: null, ...before }),
  6: (before) => ({ network: noNetwork, ...before }),
  7: (before) => ({ sshKeys: [], ...before }),
  8: (before) => ({ sshPort: null, ...before }),
  9: (before) => ({ heldUntil: null, ...before }),
  10: ({ network: before, ...spec }) => ({ ...spec, network: { lan: null, ...Object(before) } }),
};

/** Upgrades a stored spec of any known version. Raises InvariantError for a newer one. */
function upgradeSpec(stored: unknown): unknown {
  if (typeof stored !== 'object' || stored === null) return stored;
  const { version = 1, ...rest } = stored as Record<string, unknown>;
  invariant(
    typeof version === 'number' && version <= specVersion,
    `a spec of version ${String(version)} is newer than this program`,
  );
  let current = rest;
  for (let from = version; from < specVersion; from++) current = specUpgrades[from]?.(current) ?? current;
  return current;
}

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
    ...encodeSpec(checked),
    ...encodeChanging(checked),
  };
}

function encodeSpec({ spec: { userData, ...spec } }: Machine) {
  return {
    name: spec.name,
    vcpu_count: spec.vcpuCount,
    memory_mib: spec.memoryMib,
    disk_mib: spec.diskMib,
    spec: encodeJson({ version: specVersion, ...spec }),
    user_data: encodeNullableJson(userData),
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
  return { ...encodeSpec(checked), ...encodeChanging(checked) };
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
    spec: decodeSpec(row),
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
    restartAt: row.restart_at,
    restartCount: row.restart_count,
    idleAt: row.idle_at,
    provisioning: decodeNullableJson(row.provisioning, 'machines.provisioning'),
    savedMemory: decodeNullableJson(row.saved_memory, 'machines.saved_memory'),
  });
  invariant(decoded.spec.name === row.name, `machine ${row.id}: two names in one row`);
  return decoded;
}

function decodeSpec(row: MachineTable): unknown {
  const userData = decodeNullableJson(row.user_data, 'machines.user_data');
  return { ...Object(upgradeSpec(decodeJson(row.spec, 'machines.spec'))), userData };
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

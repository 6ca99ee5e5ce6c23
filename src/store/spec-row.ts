/**
 * Converts the spec of a machine, or of the machine that a snapshot was taken of, to columns and back. The columns are
 * those of the program that wrote them, so an older spec is upgraded when it is read.
 */
import { z } from 'zod';
import {
  expiryActions,
  idleActions,
  lifetimeCountings,
  type MachineSpec,
  restartPolicies,
} from '../core/machines/machine.ts';
import { type MachineNetwork, networkModes, noNetwork } from '../core/network/machine-network.ts';
import type { UserData } from '../core/user-data/user-data.ts';
import { invariant } from '../lib/invariant.ts';
import { decodeJson, decodeNullableJson, encodeJson, encodeNullableJson } from './schema.ts';

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

export const portNumber = z.int().min(1).max(65_535);
const bandwidthLimit = z.int().min(1).nullable();
export const network: z.ZodType<MachineNetwork> = z.strictObject({
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

// Strict: otherwise unknown fields would be dropped silently.
export const spec: z.ZodType<MachineSpec> = z.strictObject({
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
  snapshot: z.string().nullable(),
  userData: userData.nullable(),
  sshKeys: texts,
  sshPort: portNumber.nullable(),
  network,
  lifetimeSeconds: z.int().min(1).nullable(),
  onExpire: z.enum(expiryActions),
  lifetimeCounts: z.enum(lifetimeCountings),
});

/** The version of `spec` that this program writes. */
const specVersion = 13;

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
  11: (before) => ({ snapshot: null, ...before }),
  12: (before) => ({ lifetimeSeconds: null, onExpire: 'delete', lifetimeCounts: 'unless_paused', ...before }),
};

/** Upgrades a stored spec of any known version. Raises InvariantError for a newer one. */
export function upgradeSpec(stored: unknown): unknown {
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

/** A spec's columns: its user data is apart from it, because lists read all specs. */
export interface SpecColumns {
  readonly spec: string;
  readonly user_data: string | null;
}

export function encodeSpec({ userData, ...rest }: MachineSpec): SpecColumns {
  return { spec: encodeJson({ version: specVersion, ...rest }), user_data: encodeNullableJson(userData) };
}

/** Upgraded, but not validated: the row's schema does that. Raises InvariantError for a newer version and for what is no JSON. */
export function decodeSpec(columns: SpecColumns, table: string): unknown {
  const userData = decodeNullableJson(columns.user_data, `${table}.user_data`);
  return { ...Object(upgradeSpec(decodeJson(columns.spec, `${table}.spec`))), userData };
}

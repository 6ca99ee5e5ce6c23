/** Valid sample machines, operations, keys, templates, snapshots and routes for the store’s tests. */

import { randomBytes } from 'node:crypto';
import type { ApiKey } from '../../core/keys/key.ts';
import type { Machine } from '../../core/machines/machine.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { EngineHandle } from '../../core/ports/engine.ts';
import type { Route } from '../../core/routes/route.ts';
import type { Snapshot } from '../../core/snapshots/snapshot.ts';
import type { SshKey } from '../../core/ssh/ssh-key.ts';
import type { Template } from '../../core/templates/template.ts';
import { shortId } from '../../lib/ids.ts';

/** The host of all samples. */
export const sampleHostId = 'host-1';

/** The time `n` milliseconds after a fixed one. */
export function at(n: number): string {
  return new Date(Date.UTC(2026, 0, 1) + n).toISOString();
}

export function sampleMachine(changes: Partial<Machine> & { readonly name?: string } = {}): Machine {
  const { name, ...fields } = changes;
  const id = fields.id ?? shortId();
  return {
    id,
    hostId: sampleHostId,
    tenant: 'default',
    environmentId: null,
    spec: {
      name: name ?? `name-${id}`,
      vcpuCount: 2,
      memoryMib: 256,
      diskMib: 1024,
      image: 'debian-12',
      imageRef: 'debian-12',
      engine: 'fake',
      boot: 'auto',
      exposedPorts: [80, 443],
      labels: { team: 'blue', note: 'ünïcode "quoted"' },
      env: { LANG: 'C.UTF-8' },
      restart: 'on-failure',
      autoWake: true,
      heldUntil: null,
      idle: null,
      template: null,
      snapshot: null,
      userData: null,
      sshKeys: [`ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt mé@${id}`],
      sshPort: null,
      network: {
        mode: 'nat',
        address: '10.77.0.9',
        lan: null,
        group: 'front',
        egress: {
          kind: 'allowlist',
          rules: [
            { to: '*.example.com', protocol: 'tcp', ports: [{ first: 443, last: 443 }] },
            { to: '192.0.2.0/24', protocol: 'any', ports: null },
          ],
        },
        bandwidth: { egress: 1_000_000, ingress: null },
        ports: [{ protocol: 'udp', bind: '127.0.0.1', hostPort: 20_053, guestPort: 53 }],
      },
      lifetimeSeconds: null,
      onExpire: 'delete',
      lifetimeCounts: 'unless_paused',
    },
    imageDigest: `sha256:${'a'.repeat(64)}`,
    state: 'created',
    desired: 'stopped',
    operationId: null,
    incarnation: null,
    bootId: null,
    handle: null,
    failure: null,
    slot: 1,
    revision: 0,
    createdAt: at(0),
    updatedAt: at(0),
    startedAt: null,
    expiresAt: null,
    remainingMs: null,
    restartAt: null,
    restartCount: 0,
    idleAt: null,
    provisioning: null,
    savedMemory: null,
    ...fields,
  };
}

export function sampleHandle(incarnation: string): EngineHandle {
  return {
    engine: 'fake',
    version: 1,
    incarnation,
    guest: { transport: 'memory', key: incarnation },
    pid: 4711,
    controlSocket: null,
    data: { nested: { list: [1, null, 'x'] } },
  };
}

export function sampleOperation(changes: Partial<Operation> = {}): Operation {
  return {
    id: shortId(),
    tenant: 'default',
    kind: 'machine.start',
    subjects: [{ kind: 'machine', id: shortId() }],
    params: { force: true },
    state: 'running',
    steps: [],
    isCancelRequested: false,
    failure: null,
    owner: { hostId: sampleHostId, epoch: 1, bootId: 'boot-1' },
    revision: 0,
    createdAt: at(0),
    updatedAt: at(0),
    ...changes,
  };
}

export function sampleKey(changes: Partial<ApiKey> = {}): ApiKey {
  return {
    id: shortId(),
    name: 'ünïcode "quoted"',
    tenant: 'default',
    prefix: 'hf_abcdefgh',
    hash: '0f'.repeat(32),
    scopes: ['machines:read', 'machines:exec'],
    createdAt: at(0),
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: null,
    createdBy: null,
    tier: null,
    ...changes,
  };
}

export function sampleTemplate(changes: Partial<Template> = {}): Template {
  const id = changes.id ?? shortId();
  return {
    id,
    tenant: 'default',
    name: `name-${id}`,
    description: 'ünïcode "quoted"',
    image: 'debian-12',
    userData: '#cloud-config\nhostname: web\n',
    vcpuCount: 2,
    memoryMib: 256,
    diskMib: 2048,
    createdAt: at(0),
    updatedAt: at(0),
    ...changes,
  };
}

export function sampleSnapshot(changes: Partial<Snapshot> = {}): Snapshot {
  const id = changes.id ?? shortId();
  const { id: machineId, spec, imageDigest } = sampleMachine();
  return {
    id,
    hostId: sampleHostId,
    tenant: 'default',
    name: `name-${id}`,
    state: 'ready',
    machineId,
    parentId: shortId(),
    hasMemory: true,
    spec,
    imageDigest,
    labels: { note: 'ünïcode "quoted"' },
    sizeBytes: 5 * 2 ** 40,
    createdAt: at(0),
    updatedAt: at(0),
    ...changes,
  };
}

export function sampleRoute(changes: Partial<Route> = {}): Route {
  const id = changes.id ?? shortId();
  return {
    id,
    tenant: 'default',
    machineId: shortId(),
    subdomain: `name-${id}`,
    targetPort: 8080,
    autoWake: true,
    secret: null,
    createdAt: at(0),
    updatedAt: at(0),
    ...changes,
  };
}

export function sampleSshKey(changes: Partial<SshKey> = {}): SshKey {
  const id = changes.id ?? shortId();
  return {
    id,
    tenant: 'default',
    name: `läptop-${id}`,
    publicKey: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1HnX',
    fingerprint: `SHA256:${randomBytes(32).toString('base64').slice(0, 43)}`,
    createdBy: null,
    createdAt: at(0),
    ...changes,
  };
}

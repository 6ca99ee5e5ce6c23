/** Valid sample machines, operations and keys for the store’s tests. */
import type { ApiKey } from '../../core/keys/key.ts';
import type { Machine } from '../../core/machines/machine.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { EngineHandle } from '../../core/ports/engine.ts';
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
    spec: {
      name: name ?? `name-${id}`,
      vcpuCount: 2,
      memoryMib: 256,
      diskMib: 1024,
      image: 'debian-12',
      engine: 'fake',
      boot: 'auto',
      exposedPorts: [80, 443],
      labels: { team: 'blue', note: 'ünïcode "quoted"' },
      env: { LANG: 'C.UTF-8' },
      restart: 'on-failure',
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
    restartAt: null,
    restartCount: 0,
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
    ...changes,
  };
}

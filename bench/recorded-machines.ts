/** Fills a store with machines that have no VM. */

import { mkdir, writeFile } from 'node:fs/promises';
import type { Machine } from '../src/core/machines/machine.ts';
import { noNetwork } from '../src/core/network/machine-network.ts';
import { shortId } from '../src/lib/ids.ts';
import type { StateLayout } from '../src/storage/layout.ts';
import { openSqliteStore } from '../src/store/store.ts';

/**
 * Writes `count` machines into the store of a daemon that has not been started yet; resolves with their ids.
 */
export async function recordMachines(layout: StateLayout, count: number): Promise<readonly string[]> {
  const machines = Array.from({ length: count }, (_, index) => recorded(index));
  const store = await openSqliteStore(layout.database);
  try {
    await store.transaction(async (tx) => {
      for (const machine of machines) await tx.machines.insert(machine);
    });
  } finally {
    await store.close();
  }
  // Each machine needs a disk here; otherwise the daemon refuses the database as one of another state
  // directory.
  for (const { id } of machines) {
    await mkdir(layout.diskDir(id), { recursive: true });
    await writeFile(layout.disk(id), '');
  }
  return machines.map(({ id }) => id);
}

/** A machine that has these ports exposed and runs, as far as the store knows. */
export function runningMachine(exposedPorts: readonly number[]): Machine {
  const machine = recorded(0);
  const spec = { ...machine.spec, exposedPorts };
  return {
    ...machine,
    spec,
    state: 'running',
    desired: 'running',
    incarnation: shortId(),
    startedAt: machine.createdAt,
  };
}

function recorded(index: number): Machine {
  const at = new Date(Date.UTC(2026, 0, 1) + index * 1000).toISOString();
  return {
    id: shortId(),
    // The daemon adopts machines without a host when it starts.
    hostId: '',
    tenant: 'default',
    environmentId: null,
    spec: {
      name: `recorded-${index}`,
      vcpuCount: 1,
      memoryMib: 128,
      diskMib: 1024,
      image: 'busybox',
      imageRef: 'busybox',
      engine: 'qemu',
      boot: 'auto',
      exposedPorts: [],
      labels: { number: String(index) },
      env: {},
      restart: 'no',
      autoWake: true,
      heldUntil: null,
      idle: null,
      template: null,
      snapshot: null,
      userData: null,
      sshKeys: [],
      sshPort: null,
      lifetimeSeconds: null,
      onExpire: 'delete',
      lifetimeCounts: 'unless_paused',
      network: noNetwork,
    },
    imageDigest: `sha256:${'0'.repeat(64)}`,
    state: 'created',
    desired: 'stopped',
    operationId: null,
    incarnation: null,
    bootId: null,
    revision: 0,
    slot: index + 1,
    handle: null,
    failure: null,
    createdAt: at,
    updatedAt: at,
    startedAt: null,
    expiresAt: null,
    remainingMs: null,
    restartAt: null,
    restartCount: 0,
    idleAt: null,
    provisioning: null,
    savedMemory: null,
  };
}

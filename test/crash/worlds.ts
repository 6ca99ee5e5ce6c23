/**
 * The subjects of operations as the tests see them: the machine `web`, the environment `ci` with its machines, and the
 * image `tiny` on the fake host.
 */
import { expect } from 'vitest';
import type { Core } from '../../src/core/core.ts';
import type { CreateEnvironmentRequest } from '../../src/core/environments/service.ts';
import type { Caller } from '../../src/core/keys/caller.ts';
import type { Machine } from '../../src/core/machines/machine.ts';
import type { CreateRequest } from '../../src/core/machines/spec.ts';
import { attachmentOf } from '../../src/core/network/attachment.ts';
import type { FakeNetwork } from '../../src/core/testing/fake-network.ts';
import type { FakeFlotilla } from '../support/fake.ts';

export const tenant = 'default';
export const name = 'web';
export const operator: Caller = {
  ...{ tenant, keyName: 'admin', keyId: null, expiresAt: null, scopes: [], tier: null, isOperator: true },
};
export const image = {
  ...{ name: 'tiny', kernel: 'host' as const, memoryMibMin: 96, isShared: false },
  source: { kind: 'directory' as const, path: '/srv/tiny' },
};

export interface World {
  state(fake: FakeFlotilla): Promise<string>;
  /** Nothing on the host is orphaned, and no operation is open. */
  expectNothingLost(fake: FakeFlotilla): Promise<void>;
  /** After a failure the subject shows the reason, or is unchanged. */
  expectFailureShown(fake: FakeFlotilla, message: string): Promise<void>;
  /** From any end state, it can still be used and deleted. */
  expectUsable(fake: FakeFlotilla, core: Core): Promise<void>;
}

/** A port of the host that the machine `web` asks for. */
const publishedPort = 18_080;
const probeTime = '2026-01-01T00:00:00.000Z';
export const machineRequest: CreateRequest = {
  ...{ name, vcpuCount: 1, memoryMib: 128, image: 'busybox', diskMib: 256 },
  lifetimeSeconds: 86_400,
  network: {
    address: '10.77.0.2',
    egress: { kind: 'deny' },
    ports: [{ protocol: 'tcp', hostPort: publishedPort, guestPort: 80 }],
  },
};

/** States in which a machine's VMM runs, in the same state. */
export const liveStates: readonly string[] = ['running', 'paused'];

export const machineWorld: World = {
  state: async ({ store }) => (await store.machines.find(tenant, name))?.state ?? 'deleted',

  async expectNothingLost({ store, disks, driver, hostNetwork, savedMemories }) {
    const machines = await store.machines.all('host');
    const live = machines.filter(({ state }) => liveStates.includes(state));
    expectRulesAsRecorded(hostNetwork, live);
    expect(await store.operations.open('host')).toEqual([]);
    expect([...disks.made].sort()).toEqual(machines.map(({ id }) => id).sort());
    const incarnations = new Set(machines.map(({ incarnation }) => incarnation));
    for (const [incarnation, machine] of driver.host.machines) {
      expect(incarnations).toContain(incarnation);
      const owner = machines.find((each) => each.incarnation === incarnation);
      expect(machine.status.state).toBe(owner && liveStates.includes(owner.state) ? owner.state : 'exited');
    }
    const suspended = machines.filter(({ savedMemory }) => savedMemory !== null);
    expect([...savedMemories.saved.keys()]).toEqual(suspended.map(({ id }) => id));
    for (const machine of machines) {
      expect(machine.operationId).toBeNull();
      const isStill = machine.state === 'paused' || machine.state === 'suspended';
      expect([machine.expiresAt === null, machine.remainingMs !== null]).toEqual([isStill, isStill]);
      if (liveStates.includes(machine.state))
        expect(driver.host.machines.has(machine.incarnation ?? '')).toBe(true);
    }
  },

  async expectFailureShown({ store }, message) {
    const machine = await store.machines.find(tenant, name);
    const failure = { message: expect.stringContaining(message) };
    if (machine?.state === 'failed') expect(machine.failure).toMatchObject(failure);
    else if (machine) expect(machine.failure).toBeNull();
  },

  async expectUsable(fake, { machines }) {
    const state = await machineWorld.state(fake);
    if (state === 'deleted') {
      await machines.create(tenant, machineRequest);
    }
    if (state === 'paused') await machines.resume(tenant, name);
    else if (state !== 'running') await machines.start(tenant, name);
    expect(await machineWorld.state(fake)).toBe('running');
    await machines.delete(tenant, name, { force: true });
    expect(fake.driver.host.machines.size).toBe(0);
    expect(fake.disks.made.size).toBe(0);
    expect(fake.hostNetwork.attached.size).toBe(0);
    await expectNoAllocations(fake);
  },
};

/** The host has each machine with a VMM in its network, as it is recorded, and nothing else. */
export function expectRulesAsRecorded(hostNetwork: FakeNetwork, live: readonly Machine[]): void {
  const recorded = live.flatMap((machine) => {
    const attachment = attachmentOf(machine, hostNetwork.facts);
    return attachment === null ? [] : [[machine.id, attachment]];
  });
  expect(Object.fromEntries(hostNetwork.attached)).toEqual(Object.fromEntries(recorded));
}

/** Whatever happened, a machine that is gone has no address and no port. */
async function expectNoAllocations({ store }: FakeFlotilla): Promise<void> {
  const request = { hostId: 'host', owner: { kind: 'machine', id: 'probe' }, at: probeTime } as const;
  for (const [kind, value] of [
    ['ipv4', 2],
    ['tcp_port', publishedPort],
  ] as const) {
    expect(await store.allocations.take({ ...request, kind, min: value, max: value })).toBe(value);
  }
  await store.allocations.release('host', request.owner);
}

export const imageWorld: World = {
  async state({ images }) {
    const all = await images.list(tenant);
    return all.some((each) => each.name === image.name) ? 'there' : 'absent';
  },

  async expectNothingLost({ store, images }) {
    expect(await store.operations.open('host')).toEqual([]);
    expect([...images.received, ...images.built.keys()]).toEqual([]);
    expect((await images.list(tenant)).filter((each) => each.name === image.name).length).toBeLessThan(2);
  },

  expectFailureShown: async () => undefined,

  async expectUsable(fake, { imageService }) {
    const signal = new AbortController().signal;
    if ((await imageWorld.state(fake)) === 'absent') await imageService.add(operator, image, signal);
    await imageService.delete(operator, image.name);
    expect(await imageWorld.state(fake)).toBe('absent');
    await imageWorld.expectNothingLost(fake);
  },
};

export const snapshotName = 'snap';

/** The snapshot `snap` of the machine `web`, which stays as it is. */
export const snapshotWorld: World = {
  state: async ({ store }) => (await store.snapshots.find(tenant, snapshotName))?.state ?? 'absent',

  async expectNothingLost(fake) {
    await machineWorld.expectNothingLost(fake);
    const { snapshots } = await fake.store.snapshots.list({ tenant, limit: 100, offset: 0 });
    const ready = snapshots.filter(({ state }) => state === 'ready').map(({ id }) => id);
    for (const id of ready) expect(fake.snapshotFiles.kept.get(id)?.isPublished).toBe(true);
    const known = snapshots.map(({ id }) => id);
    for (const id of fake.snapshotFiles.kept.keys()) expect(known).toContain(id);
    expect((await fake.store.machines.find(tenant, name))?.state).toBe('running');
  },

  expectFailureShown: async () => undefined,

  async expectUsable(fake, core) {
    const state = await snapshotWorld.state(fake);
    if (state === 'deleting') await core.snapshots.delete(tenant, snapshotName);
    if (state !== 'ready') await core.snapshots.create(tenant, name, { name: snapshotName });
    expect(await snapshotWorld.state(fake)).toBe('ready');
    await core.snapshots.delete(tenant, snapshotName);
    expect(fake.snapshotFiles.kept.size).toBe(0);
    await machineWorld.expectUsable(fake, core);
  },
};

/** The environment `ci` with two machines. */
export const environmentRequest: CreateEnvironmentRequest = {
  id: 'ci',
  owner: 'ann',
  machines: ['ci-a', 'ci-b'].map((each) => ({
    ...{ name: each, vcpuCount: 1, memoryMib: 128, image: 'busybox', diskMib: 256 },
  })),
};
const environmentKey = { tenant, id: environmentRequest.id };

export const environmentWorld: World = {
  state: async ({ store }) => (await store.environments.get(environmentKey))?.state ?? 'absent',

  /** Of an environment whose machines were deleted in part, the rest is still in it. */
  async expectNothingLost({ store, disks, driver }) {
    const machines = await store.machines.all('host');
    const ids = machines.map(({ id }) => id);
    expect(await store.operations.open('host')).toEqual([]);
    expect(ids).toEqual(expect.arrayContaining([...disks.made]));
    const incarnations = machines.map(({ incarnation }) => incarnation);
    for (const [incarnation, { status }] of driver.host.machines) {
      if (status.state !== 'exited') expect(incarnations).toContain(incarnation);
    }
    const isThere = (await store.environments.get(environmentKey)) !== null;
    for (const { environmentId } of machines) expect([environmentId, isThere]).toEqual(['ci', true]);
  },

  expectFailureShown: async ({ store }, message) => {
    const environment = await store.environments.get(environmentKey);
    if (environment) expect(environment.warnings.join()).toContain(message);
  },

  async expectUsable(fake, { environments, machines }) {
    if ((await environmentWorld.state(fake)) === 'absent')
      await environments.create(tenant, environmentRequest);
    const { machines: before } = await environments.get(tenant, 'ci');
    const halfDeleted = before.filter(({ id }) => !fake.disks.made.has(id));
    for (const { id } of halfDeleted) await machines.delete(tenant, id, { force: true });
    const { environment, machines: after } = await environments.start(tenant, 'ci');
    expect(environment.state).toBe('active');
    for (const { state } of after) expect(state).toBe('running');
    await environments.delete(tenant, 'ci');
    expect(fake.driver.host.machines.size).toBe(0);
    expect(fake.disks.made.size).toBe(0);
    expect(await fake.store.machines.all('host')).toEqual([]);
  },
};

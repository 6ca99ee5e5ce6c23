/**
 * The subjects of operations as the tests see them: the machine `web` and the image `tiny` on the fake host.
 */
import { expect } from 'vitest';
import type { Core } from '../../src/core/core.ts';
import type { Caller } from '../../src/core/keys/caller.ts';
import type { FakeFlotilla } from '../support/fake.ts';

export const tenant = 'default';
export const name = 'web';
export const operator: Caller = {
  ...{ tenant, keyName: 'admin', keyId: null, expiresAt: null, scopes: [], isOperator: true },
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

/** States in which a machine's VMM runs, in the same state. */
const liveStates: readonly string[] = ['running', 'paused'];

export const machineWorld: World = {
  state: async ({ store }) => (await store.machines.find(tenant, name))?.state ?? 'deleted',

  async expectNothingLost({ store, disks, driver }) {
    const machines = await store.machines.all('host');
    expect(await store.operations.open('host')).toEqual([]);
    expect([...disks.made].sort()).toEqual(machines.map(({ id }) => id).sort());
    const incarnations = new Set(machines.map(({ incarnation }) => incarnation));
    for (const [incarnation, machine] of driver.host.machines) {
      expect(incarnations).toContain(incarnation);
      const owner = machines.find((each) => each.incarnation === incarnation);
      expect(machine.status.state).toBe(owner && liveStates.includes(owner.state) ? owner.state : 'exited');
    }
    for (const machine of machines) {
      expect(machine.operationId).toBeNull();
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
      await machines.create(tenant, { name, vcpuCount: 1, memoryMib: 128, image: 'busybox', diskMib: 256 });
    }
    if (state === 'paused') await machines.resume(tenant, name);
    else if (state !== 'running') await machines.start(tenant, name);
    expect(await machineWorld.state(fake)).toBe('running');
    await machines.delete(tenant, name, { force: true });
    expect(fake.driver.host.machines.size).toBe(0);
    expect(fake.disks.made.size).toBe(0);
  },
};

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

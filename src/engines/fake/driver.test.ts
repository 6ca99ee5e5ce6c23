import { describe, expect, it } from 'vitest';
import { AppError } from '../../core/errors.ts';
import { type ExitFacts, limitsOfSize } from '../../core/ports/engine.ts';
import { shortId } from '../../lib/ids.ts';
import { engineContract, testHostId } from '../engine.contract.ts';
import { guestMarker } from '../testing/tiny-guest.ts';
import { FakeDriver, FakeHost, type LaunchHook } from './driver.ts';

const never = new AbortController().signal;

function spec(incarnation: string, slot = 1, kernelArgs = '') {
  return {
    machineId: 'm1',
    hostId: testHostId,
    incarnation,
    slot,
    vcpuCount: 1,
    memoryMib: 64,
    diskMib: 64,
    source: { kind: 'kernel' as const, kernelPath: '/kernel', initrdPath: '/initrd', kernelArgs },
    disks: [],
    nics: [],
    limits: limitsOfSize,
  };
}

/** Plays the contract's guest: prints, then ends as its kernel arguments request. */
const playGuest: LaunchHook = ({ source }, _handle, machine) => {
  const kernelArgs = source.kind === 'kernel' ? source.kernelArgs : '';
  machine.print(`${guestMarker}\n`);
  if (kernelArgs === 'poweroff') machine.powerOff();
  if (kernelArgs === 'reset' || kernelArgs === 'panic') machine.reset();
};

engineContract('fake', async () => {
  const host = new FakeHost();
  return {
    makeDriver: () => new FakeDriver({ host, onLaunch: playGuest }),
    spec,
    consoleMarker: guestMarker,
    directory: async () => `/fake/${shortId()}`,
    kill: ({ incarnation }) => host.machines.get(incarnation)?.die(),
    isPrepared: async () => true,
    countVmms: async (incarnation) => (host.machines.get(incarnation)?.status.state === 'running' ? 1 : 0),
    leftovers: async () => [...host.machines.keys()],
    close: async () => undefined,
  };
});

describe('FakeDriver', () => {
  it('fails as scripted, once each, and leaves nothing behind', async () => {
    const driver = new FakeDriver();
    driver.failNext('launch', new AppError('exhausted', 'no memory'));
    driver.failNext('launch');
    await expect(driver.launch(spec('a'), never)).rejects.toMatchObject({ code: 'exhausted' });
    await expect(driver.launch(spec('a'), never)).rejects.toMatchObject({ code: 'engine' });
    expect(await driver.list()).toEqual([]);
    await driver.launch(spec('a'), never);
    expect(driver.calls.get('launch')).toBe(3);
  });

  it('fails a launch whose guest cannot be attached', async () => {
    const driver = new FakeDriver({
      onLaunch: () => {
        throw new Error('no guest');
      },
    });
    await expect(driver.launch(spec('a'), never)).rejects.toThrow('no guest');
    expect(await driver.list()).toEqual([]);
  });

  it('can be aborted while it is slow', async () => {
    const driver = new FakeDriver();
    driver.delay('launch', 60_000);
    const controller = new AbortController();
    const launching = driver.launch(spec('a'), controller.signal);
    controller.abort(new Error('enough'));
    await expect(launching).rejects.toThrow('enough');
  });

  it('signals the guest that its machine ended', async () => {
    let ended: AbortSignal | undefined;
    const driver = new FakeDriver({
      onLaunch: (_spec, _handle, machine) => {
        ended = machine.ended;
      },
    });
    const handle = await driver.launch(spec('a'), never);
    expect(ended?.aborted).toBe(false);
    await driver.stop(handle, never);
    expect(ended?.aborted).toBe(true);
  });

  it('reports a pause by the VMM, which a requested pause does not change', async () => {
    const driver = new FakeDriver();
    const handle = await driver.launch(spec('a'), never);
    driver.machine('a').pause('disk_full');
    expect(await driver.inspect(handle)).toEqual({ state: 'paused', reason: 'disk_full' });
    await driver.pause?.pause(handle, never);
    expect(await driver.inspect(handle)).toEqual({ state: 'paused', reason: 'disk_full' });
    await driver.pause?.resume(handle, never);
    expect(await driver.inspect(handle)).toEqual({ state: 'running' });
  });

  it('notifies nobody after it was closed', async () => {
    const driver = new FakeDriver();
    const handle = await driver.launch(spec('a'), never);
    const heard: ExitFacts[] = [];
    driver.onExit(handle, (facts) => heard.push(facts));
    await driver.close();
    driver.machine('a').die();
    await new Promise(setImmediate);
    expect(heard).toEqual([]);
  });
});

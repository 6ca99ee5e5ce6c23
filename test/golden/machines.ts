/** Puts machines and environments into states by real calls; transit states are held. */
import { setImmediate } from 'node:timers/promises';
import { AppError } from '../../src/core/errors.ts';
import type { Disks } from '../../src/core/ports/disks.ts';
import type { EngineDriver } from '../../src/core/ports/engine.ts';
import { abortable } from '../../src/lib/abort.ts';
import type { FakeFlotilla } from '../support/fake.ts';
import type { GivenEnvironment, GivenMachine } from './conversation.ts';

const tenant = 'default';
/** The reported VMM of the fake engine. */
const vmm = { pid: 12_345, controlSocket: '/fake/vmm.sock' };

export class MachinePlacer {
  readonly #fake: FakeFlotilla;
  readonly #disks: Disks;
  readonly #released = new AbortController();
  readonly #held: Promise<unknown>[] = [];

  constructor(fake: FakeFlotilla) {
    this.#fake = fake;
    this.#disks = fake.disks;
    const driver: EngineDriver = fake.driver;
    const launch = fake.driver.launch.bind(fake.driver);
    driver.launch = async (spec, signal) => ({ ...(await launch(spec, signal)), ...vmm });
    this.#powerOffWhenAsked();
  }

  /** Resolves with its id once it is in its state. */
  async place(machine: GivenMachine): Promise<string> {
    const { machines, driver } = this.#fake;
    const { as: name, state } = machine;
    if (state === 'creating') {
      await this.#hold('prepare', () => this.#create(machine));
      return (await machines.get(tenant, name)).id;
    }
    const id = await this.#create(machine);
    if (state === 'created') return id;
    if (state === 'deleting') {
      await this.#hold('remove', () => machines.delete(tenant, id, { force: false }));
    } else if (state === 'starting') await this.#holdReady(() => machines.start(tenant, id));
    else if (state === 'failed') {
      driver.failNext('launch', new AppError('engine', 'the VMM ended at once'));
      await machines.start(tenant, id).catch(() => undefined);
    } else {
      await machines.start(tenant, id);
      if (state === 'pausing') await this.#holdPause(() => machines.pause(tenant, id));
      if (state === 'paused' || state === 'resuming') await machines.pause(tenant, id);
      if (state === 'resuming') await this.#holdReady(() => machines.resume(tenant, id));
      if (state === 'suspended') await machines.suspend(tenant, id);
      if (state === 'stopped') await machines.stop(tenant, id);
      if (state === 'stopping') await this.#holdStop(id);
    }
    return id;
  }

  /** Resolves with the id of its machine once it is in its state. */
  async placeEnvironment({ id, state }: GivenEnvironment): Promise<string> {
    const { environments, store } = this.#fake;
    const machine = { name: `${id}-1`, vcpuCount: 1, memoryMib: 256, diskMib: 1024 };
    const create = () => environments.create(tenant, { id, owner: 'ann', machines: [machine] });
    if (state === 'creating') await this.#holdReady(create);
    else await create();
    if (state === 'stopped' || state === 'starting') await environments.stop(tenant, id);
    if (state === 'starting') await this.#holdReady(() => environments.start(tenant, id));
    if (state === 'stopping') await this.#holdPause(() => environments.stop(tenant, id));
    if (state === 'deleting') await this.#hold('remove', () => environments.delete(tenant, id));
    const [made] = await store.machines.inEnvironment({ tenant, id });
    if (made === undefined) throw new Error(`environment ${id} has no machine`);
    return made.id;
  }

  /** Releases what is held, and waits for it after `closeAll` has begun. */
  async close(closeAll: () => Promise<void>): Promise<void> {
    this.#released.abort(new AppError('unavailable', 'the conversation is over'));
    await closeAll();
    await Promise.allSettled(this.#held);
  }

  async #create({ as: name, vcpu_count: vcpuCount, mem_size_mib: memoryMib }: GivenMachine): Promise<string> {
    const { id, createdAt } = await this.#fake.machines.create(tenant, { name, vcpuCount, memoryMib });
    // Lists are ordered by creation time, which has milliseconds.
    while (Date.now() <= Date.parse(createdAt)) await setImmediate();
    return id;
  }

  async #hold(call: 'prepare' | 'remove', begin: () => Promise<unknown>): Promise<void> {
    const disks = this.#disks;
    const real = { prepare: disks.prepare, remove: disks.remove };
    await this.#reached((hang) => {
      disks[call] = hang;
      return begin();
    });
    Object.assign(disks, real);
  }

  async #holdReady(begin: () => Promise<unknown>): Promise<void> {
    const { guest } = this.#fake;
    const { onReady } = guest;
    await this.#reached((hang) => {
      guest.onReady = (signal) => abortable(hang(), signal);
      return begin();
    });
    guest.onReady = onReady;
  }

  async #holdPause(begin: () => Promise<unknown>): Promise<void> {
    const { driver } = this.#fake;
    const { pause } = driver.processors;
    await this.#reached((hang) => {
      Object.assign(driver.processors, { pause: hang });
      return begin();
    });
    Object.assign(driver.processors, { pause });
  }

  async #holdStop(id: string): Promise<void> {
    const { guest, machines } = this.#fake;
    await this.#reached((hang) => {
      guest.onShutdown = () => void hang().catch(() => undefined);
      return machines.stop(tenant, id);
    });
    this.#powerOffWhenAsked();
  }

  #powerOffWhenAsked(): void {
    const { guest, driver } = this.#fake;
    guest.onShutdown = ({ incarnation }) => driver.machine(incarnation).powerOff();
  }

  /** Begins something and resolves when it hangs. */
  async #reached(begin: (hang: () => Promise<never>) => Promise<unknown>): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const { signal } = this.#released;
    const begun = begin(() => {
      resolve();
      return abortable(new Promise<never>(() => undefined), signal);
    });
    this.#held.push(begun.catch(() => undefined));
    await promise;
  }
}

/**
 * Guarantees of every change of a machine's network, tested on the fake host and a given database: any commit may be
 * refused or its answer lost, the host may refuse the change, and the daemon may die at every commit and every call of
 * the host, or after any write of an operation that runs meanwhile. Afterwards the host's rules are as recorded, and
 * the addresses and ports that are taken are those of the record.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { MachineOperationKind } from '../../src/core/machines/steps/definitions.ts';
import { addressAt, formatIpv4, lanNumberOf, parseRange } from '../../src/core/network/addresses.ts';
import type { Repositories, Store } from '../../src/core/ports/store.ts';
import type { FakeNetworkCall } from '../../src/core/testing/fake-network.ts';
import { commitFaults, faultyStore } from '../../src/core/testing/faulty-store.ts';
import type { OpenDatabase } from '../../src/store/database.ts';
import { type FakeFlotilla, type FakeHooks, startFake } from '../support/fake.ts';
import { lan, type NetworkChangeCase, networkChanges } from './network-change-cases.ts';
import { machineCases } from './operation-cases.ts';
import { expectRulesAsRecorded, liveStates, name, tenant } from './worlds.ts';

/** More than any change or operation makes. */
const eventsMax = 60;
const never = () => new Promise<never>(() => undefined);

export interface NetworkProofOptions {
  /** Gives an empty, migrated database. Default: SQLite. */
  readonly takeDatabase?: () => Promise<OpenDatabase>;
  /** Default: all. */
  readonly changes?: readonly NetworkChangeCase[];
  /** Kinds of operations during which changes are made. Default: all of machines. */
  readonly during?: readonly MachineOperationKind[];
}

const allDuring = machineCases.map(({ kind }) => kind).filter((kind) => kind !== 'machine.create');

export function networkProofs({
  takeDatabase,
  changes = networkChanges,
  during = allDuring,
}: NetworkProofOptions = {}): void {
  let fake: FakeFlotilla;
  afterEach(() => fake.close());

  async function begin(hooks: FakeHooks = {}, wrapStore = (store: Store) => store): Promise<void> {
    const database = await takeDatabase?.();
    fake = await startFake({
      hooks,
      wrapStore,
      network: { lan },
      ...(database === undefined ? {} : { database }),
    });
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  }

  /** The numbers that are taken, of the kinds of networks, are those of the record. */
  async function expectAllocationsAsRecorded(): Promise<void> {
    const machines = await fake.store.machines.all('host');
    const range = parseRange(fake.hostNetwork.facts.ipv4);
    const recorded = machines.flatMap(({ spec: { network, sshPort } }) => [
      ...(sshPort === null ? [] : [`tcp_port ${sshPort}`]),
      ...(network.address === null ? [] : [network.address]),
      ...(network.lan === null ? [] : [`lan_mac ${lanNumberOf(network.lan.mac)}`]),
      ...(network.lan?.fixed == null ? [] : [`lan_ipv4 ${network.lan.fixed.address}`]),
      ...network.ports.map(({ protocol, hostPort }) => `${protocol}_port ${hostPort}`),
    ]);
    expect(new Set(recorded).size).toBe(recorded.length);
    const taken = (await fake.takenNumbers()).flatMap(({ kind, value }) => {
      if (kind === 'ipv4') return [addressAt(range, value)];
      if (kind === 'lan_ipv4') return [`lan_ipv4 ${formatIpv4(value >>> 0)}`];
      return kind === 'vmm_uid' ? [] : [`${kind} ${value}`];
    });
    expect(taken.sort()).toEqual([...recorded].sort());
  }

  async function expectAsRecorded(): Promise<void> {
    const machines = await fake.store.machines.all('host');
    expectRulesAsRecorded(
      fake.hostNetwork,
      machines.filter(({ state }) => liveStates.includes(state)),
    );
    await expectAllocationsAsRecorded();
  }

  const network = async () => {
    const { spec } = await fake.machines.get(tenant, name);
    return [spec.network, spec.sshPort];
  };

  describe.each(changes.map((change) => [change.title, change] as const))('%s', (_, change) => {
    test('is in force at once', async () => {
      await begin();
      await change.prepare(fake);
      const before = await network();
      await change.act(fake);
      expect(await network()).not.toEqual(before);
      await expectAsRecorded();
    });

    test.each(commitFaults)('its commit is %s: the record is whole, and soon in force', async (fault) => {
      let faults: ReturnType<typeof faultyStore> | undefined;
      await begin({}, (store) => {
        faults = faultyStore(store);
        return faults.store;
      });
      await change.prepare(fake);
      const before = await network();
      faults?.failAt(1, fault);
      await expect(change.act(fake)).rejects.toMatchObject({ code: 'unavailable' });
      await fake.reconciler.run();
      if (fault === 'lost') expect(await network()).not.toEqual(before);
      else expect(await network()).toEqual(before);
      await expectAsRecorded();
    });

    test('the host refuses it twice: it is repeated until it is in force', async () => {
      await begin();
      await change.prepare(fake);
      const refused = () => new AppError('unavailable', 'nft said no');
      fake.hostNetwork.failures.set('update', [refused(), refused()]);
      await change.act(fake);
      for (let time = 0; time < 2; time += 1) await fake.reconciler.run();
      await expectAsRecorded();
    });

    test.each(['before', 'after'] as const)('the daemon dies %s its commit', async (when) => {
      const died = Promise.withResolvers<void>();
      let isArmed = false;
      await begin({}, (store) =>
        dying(store, when, async () => {
          if (!isArmed) return;
          died.resolve();
          await never();
        }),
      );
      await change.prepare(fake);
      const before = await network();
      isArmed = true;
      void change.act(fake);
      await died.promise;
      isArmed = false;
      await fake.recovered();
      if (when === 'after') expect(await network()).not.toEqual(before);
      else expect(await network()).toEqual(before);
      await expectAsRecorded();
    });

    test.each(['before', 'after'] as const)(
      'the daemon dies %s any call of the host: in force by the next one',
      async (when) => {
        for (let nth = 1; nth < eventsMax; nth += 1) {
          await begin();
          await change.prepare(fake);
          const died = deathAtCall(nth, when);
          const ended = change.act(fake).then(() => 'ended' as const);
          const first = await Promise.race([died, ended]);
          fake.hostNetwork.onCall = async () => undefined;
          await fake.recovered();
          await expectAsRecorded();
          if (first === 'ended') return;
          await fake.close();
        }
        throw new Error('the change makes more calls than this proof expects');
      },
    );
  });

  /** Resolves with the daemon's death at its nth call of the host's network from here on. */
  function deathAtCall(nth: number, when: 'before' | 'after'): Promise<FakeNetworkCall> {
    const { promise, resolve } = Promise.withResolvers<FakeNetworkCall>();
    let calls = 0;
    fake.hostNetwork.onCall = async (call, at) => {
      if (at !== when) return;
      calls += 1;
      if (calls !== nth) return;
      resolve(call);
      await never();
    };
    return promise;
  }

  const live = changes.filter(({ isLive }) => isLive);

  describe.each(
    machineCases.filter(({ kind }) => during.includes(kind)).map((each) => [each.kind, each] as const),
  )('during %s', (_, operation) => {
    test.each(['goes on', 'dies'] as const)(
      'changes after any of its writes, and the daemon %s: rules and record agree',
      async (then) => {
        for (let nth = 1; nth < eventsMax; nth += 1) {
          const change = live[nth % live.length] as NetworkChangeCase;
          const { promise: died, resolve } = Promise.withResolvers<'died'>();
          let writes = Number.NEGATIVE_INFINITY;
          await begin({
            async written() {
              writes += 1;
              if (writes !== nth) return;
              // A machine that is being deleted refuses it.
              await change
                .act(fake)
                .catch((error: unknown) => expect(error).toMatchObject({ code: /conflict|not_found/ }));
              if (then === 'goes on') return;
              resolve('died');
              await never();
            },
          });
          await operation.prepare(fake.machines);
          writes = 0;
          const ended = operation.act(fake.machines).then(() => 'ended' as const);
          if ((await Promise.race([died, ended])) === 'died') await fake.recovered();
          await expectAsRecorded();
          if (writes < nth) return expect(nth).toBeGreaterThan(2);
          await fake.close();
        }
        throw new Error('the operation has more writes than this proof expects');
      },
    );
  });
}

/** A store whose transactions call `reach` before or after they are committed. */
function dying(inner: Store, when: 'before' | 'after', reach: () => Promise<void>): Store {
  return new Proxy(inner, {
    get(target, property, receiver) {
      if (property !== 'transaction') return Reflect.get(target, property, receiver);
      return async (work: (tx: Repositories) => Promise<unknown>) => {
        if (when === 'before') await reach();
        const value = await inner.transaction(work);
        if (when === 'after') await reach();
        return value;
      };
    },
  });
}

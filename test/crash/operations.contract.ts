/**
 * What every operation owes, proved for each on the fake engine and on the database given: any step may run twice, may fail before or after its
 * effect, may be undone twice; and the daemon may die between any two records.
 */
import { afterEach, describe, expect, test } from 'vitest';
import type { Step } from '../../src/core/operations/definition.ts';
import { type FakeFlotilla, type FakeHooks, startFake } from '../support/fake.ts';
import { name, type OperationCase, operationCases, tenant } from './operation-cases.ts';

/** States of a machine whose VMM lives, in the same state. */
const liveStates: readonly string[] = ['running', 'paused'];

/** `newDatabase`: the URL of an empty PostgreSQL database, or undefined for SQLite. */
export function operationProofs(newDatabase: () => Promise<string | undefined>): void {
  let fake: FakeFlotilla;
  afterEach(() => fake.close());

  /** Hooks that do nothing until the operation under test begins. */
  interface Trap extends FakeHooks {
    isArmed: boolean;
  }

  async function begin(operation: OperationCase, trap: Trap): Promise<void> {
    const databaseUrl = await newDatabase();
    fake = await startFake({ hooks: trap, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
    // A guest that was asked powers off; otherwise each stop would wait for its grace.
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    await operation.prepare(fake.machines);
    trap.isArmed = true;
  }

  async function stateNow(): Promise<string> {
    return (await fake.store.machines.find(tenant, name))?.state ?? 'deleted';
  }

  /** Everything on the host belongs to a machine that accounts for it, and nothing is under way. */
  async function expectNothingLost(): Promise<void> {
    const machines = await fake.store.machines.all('host');
    expect(await fake.store.operations.open('host')).toEqual([]);
    expect([...fake.disks.made].sort()).toEqual(machines.map(({ id }) => id).sort());
    const incarnations = new Set(machines.map(({ incarnation }) => incarnation));
    for (const [incarnation, machine] of fake.driver.host.machines) {
      expect(incarnations).toContain(incarnation);
      const owner = machines.find((each) => each.incarnation === incarnation);
      expect(machine.status.state).toBe(owner && liveStates.includes(owner.state) ? owner.state : 'exited');
    }
    for (const machine of machines) {
      expect(machine.operationId).toBeNull();
      if (liveStates.includes(machine.state))
        expect(fake.driver.host.machines.has(machine.incarnation ?? '')).toBe(true);
    }
  }

  /** From wherever it ended, the machine can still be brought to run and be deleted. */
  async function expectUsable(): Promise<void> {
    const { machines } = await fake.recovered();
    const state = await stateNow();
    if (state === 'deleted') await operationCases[0]?.act(machines);
    if (state === 'paused') await machines.resume(tenant, name);
    else if (state !== 'running') await machines.start(tenant, name);
    expect(await stateNow()).toBe('running');
    await machines.delete(tenant, name, { force: true });
    expect(fake.driver.host.machines.size).toBe(0);
    expect(fake.disks.made.size).toBe(0);
  }

  const twice =
    <A extends unknown[], R>(fn: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await fn(...args);
      return fn(...args);
    };

  describe.each(operationCases.map((operation) => [operation.kind, operation] as const))(
    '%s',
    (_, operation) => {
      test('every step runs twice and the end is the same', async () => {
        const trap: Trap = {
          isArmed: false,
          wrap: (step) => (trap.isArmed ? { ...step, do: twice((context) => step.do(context)) } : step),
        };
        await begin(operation, trap);
        await operation.act(fake.machines);
        expect(await stateNow()).toBe(operation.succeeded);
        await expectNothingLost();
      });

      test('its steps are those that are proved here', async () => {
        const seen: string[] = [];
        const trap: Trap = {
          isArmed: false,
          recorded: async (_operation, step, phase) => {
            if (trap.isArmed && phase === 'started') seen.push(step);
          },
        };
        await begin(operation, trap);
        await operation.act(fake.machines);
        expect(seen).toEqual(operation.steps);
      });

      const failures = operation.steps.flatMap((step) => [
        [step, 'before its effect'] as const,
        [step, 'after its effect'] as const,
      ]);

      test.each(failures)('fails at %s %s: undone, twice, and usable again', async (failing, when) => {
        const fail =
          (step: Step<unknown>): Step<unknown>['do'] =>
          async (context) => {
            if (when === 'after its effect') await step.do(context);
            throw new Error(`injected into ${step.name}`);
          };
        const trap: Trap = {
          isArmed: false,
          wrap(step) {
            if (!trap.isArmed) return step;
            const { undo } = step;
            return {
              ...step,
              ...(step.name === failing ? { do: fail(step) } : {}),
              ...(undo ? { undo: twice((context) => undo(context)) } : {}),
            };
          },
        };
        await begin(operation, trap);
        await expect(operation.act(fake.machines)).rejects.toThrow(`injected into ${failing}`);
        expect(await stateNow()).toBe(operation.failed);
        const machine = await fake.store.machines.find(tenant, name);
        // One that is as it was before, running or paused, has not failed.
        const failure = { message: expect.stringContaining('injected') };
        if (machine?.state === 'failed') expect(machine.failure).toMatchObject(failure);
        else if (machine) expect(machine.failure).toBeNull();
        trap.isArmed = false;
        // A delete that failed half-way leaves a failed machine without a disk: only deleting it again makes sense.
        if (operation.kind === 'machine.delete') await fake.machines.delete(tenant, name, { force: true });
        else {
          await expectNothingLost();
          await expectUsable();
        }
      });

      const moments = operation.steps.flatMap((step) => [
        [step, 'started'] as const,
        [step, 'succeeded'] as const,
      ]);

      test.each(moments)(
        'the daemon dies when %s is recorded as %s: finished after a restart',
        async (at, phase) => {
          const died = Promise.withResolvers<void>();
          const trap: Trap = {
            isArmed: false,
            recorded: async (_operation, step, recorded) => {
              if (!trap.isArmed || step !== at || recorded !== phase) return;
              died.resolve();
              await new Promise(() => undefined);
            },
          };
          await begin(operation, trap);
          void operation.act(fake.machines);
          await died.promise;
          await fake.recovered();
          expect(await stateNow()).toBe(operation.succeeded);
          await expectNothingLost();
          await expectUsable();
        },
      );

      const undoMoments = operation.steps.flatMap((step) => [
        [step, 'undoing'] as const,
        [step, 'undone'] as const,
      ]);

      test.each(undoMoments)(
        'the daemon dies when %s is recorded as %s: undone after a restart',
        async (at, phase) => {
          const last = operation.steps.at(-1) ?? '';
          const died = Promise.withResolvers<void>();
          const trap: Trap = {
            isArmed: false,
            wrap: (step) =>
              trap.isArmed && step.name === last
                ? {
                    ...step,
                    async do() {
                      throw new Error('injected');
                    },
                  }
                : step,
            recorded: async (_operation, step, recorded) => {
              if (!trap.isArmed || step !== at || recorded !== phase) return;
              died.resolve();
              await new Promise(() => undefined);
            },
          };
          await begin(operation, trap);
          void operation.act(fake.machines).catch(() => undefined);
          await died.promise;
          await fake.recovered();
          expect(await stateNow()).toBe(operation.failed);
          expect(await fake.store.operations.open('host')).toEqual([]);
        },
      );
    },
  );
}

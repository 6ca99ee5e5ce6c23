/**
 * Guarantees of every operation, tested on the fake engine and a given database: any step may run twice, fail
 * before or after its effect, or be undone twice; the store may fail at any commit, also after it; and the
 * daemon may die after any write, and again during the recovery. In all cases the operation is closed with a
 * record that says how, and nothing on the host is orphaned.
 */
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { Step } from '../../src/core/operations/definition.ts';
import { isOpen, type Operation } from '../../src/core/operations/operation.ts';
import { type CommitFault, commitFaults, faultyStore } from '../../src/core/testing/faulty-store.ts';
import type { OpenDatabase } from '../../src/store/database.ts';
import { type FakeFlotilla, type FakeHooks, startFake } from '../support/fake.ts';
import { isQuick } from '../support/thoroughness.ts';
import { type OperationCase, operationCases } from './operation-cases.ts';
import { name, tenant } from './worlds.ts';

// A test makes a world for each write: seconds of work, and minutes on a busy host.
vi.setConfig({ testTimeout: 300_000 });

/** More writes than any operation makes, with those of the operations that it begins. */
const writesMax = 60;

/** After which of its writes the second daemon dies, and how commits fail; `make test` tries all. */
const secondDeaths = isQuick ? [1] : [1, 2];
const faultsTried: readonly CommitFault[] = isQuick ? ['lost'] : commitFaults;

const isFailing = (operation?: Operation) => operation?.state === 'undoing' || operation?.state === 'failed';

const never = () => new Promise<never>(() => undefined);

/** Hooks that do nothing until the tested operation begins. */
interface Trap extends FakeHooks {
  isArmed: boolean;
}

export interface ProofOptions {
  /** Gives an empty, migrated database. Default: SQLite. */
  readonly takeDatabase?: () => Promise<OpenDatabase>;
  /** Default: all. */
  readonly cases?: readonly OperationCase[];
}

export function operationProofs({ takeDatabase, cases = operationCases }: ProofOptions = {}): void {
  let fake: FakeFlotilla;
  let faults: ReturnType<typeof faultyStore>;
  afterEach(() => fake.close());

  async function begin(operation: OperationCase, trap: Trap): Promise<void> {
    const database = await takeDatabase?.();
    fake = await startFake({
      hooks: trap,
      wrapStore: (store) => {
        faults = faultyStore(store);
        return faults.store;
      },
      ...(database === undefined ? {} : { database }),
    });
    // The guest powers off when asked; otherwise each stop would wait for its grace period.
    fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
    await operation.prepare(fake);
    trap.isArmed = true;
  }

  const stateNow = ({ world }: OperationCase) => world.state(fake);

  /** The newest operation of the tested kind, also of a deleted subject. */
  async function recorded({ kind }: OperationCase): Promise<Operation | undefined> {
    const { operations } = await fake.store.operations.list({ tenant, limit: 50, offset: 0 });
    return operations.find((each) => each.kind === kind);
  }

  /** The operation is closed and its log is complete. */
  async function expectRecord(operation: OperationCase, ended: 'succeeded' | 'failed'): Promise<void> {
    const record = await recorded(operation);
    expect(record).toMatchObject({ state: ended, isCancelRequested: false });
    const phases = record?.steps.map(({ name: step, phase }) => `${step} ${phase}`);
    if (ended === 'succeeded') {
      expect(phases).toEqual(operation.steps.map((step) => `${step} succeeded`));
      expect(record?.failure).toBeNull();
    } else {
      expect(record?.steps.every(({ phase }) => phase === 'undone')).toBe(true);
      expect(record?.failure).not.toBeNull();
    }
  }

  const expectNothingLost = ({ world }: OperationCase) => world.expectNothingLost(fake);

  /** A delete that failed halfway leaves a failed machine without a disk, which can only be deleted again. */
  async function expectSound(operation: OperationCase): Promise<void> {
    const isHalfDeleted = operation.kind === 'machine.delete' && (await stateNow(operation)) === 'failed';
    if (isHalfDeleted) return void (await fake.machines.delete(tenant, name, { force: true }));
    await expectNothingLost(operation);
    await operation.world.expectUsable(fake, await fake.recovered());
  }

  const twice =
    <A extends unknown[], R>(fn: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await fn(...args);
      return fn(...args);
    };

  /** A step that fails while the trap is armed. */
  const failing =
    (step: Step<unknown>, when: 'before its effect' | 'after its effect'): Step<unknown>['do'] =>
    async (context) => {
      if (when === 'after its effect') await step.do(context);
      throw new Error(`injected into ${step.name}`);
    };

  /**
   * A trap in which the daemon dies after its nth write from now on; `died` resolves with the operation as
   * then written.
   */
  function mortal(nth: number, hooks: Omit<FakeHooks, 'written' | 'recorded'> = {}) {
    const { promise: died, resolve } = Promise.withResolvers<Operation>();
    let writes = 0;
    const trap: Trap = {
      isArmed: false,
      wrap: (step, kind) => (trap.isArmed ? (hooks.wrap?.(step, kind) ?? step) : step),
      async written(_before, after) {
        if (!trap.isArmed) return;
        writes += 1;
        if (writes < nth) return;
        resolve(after);
        await never();
      },
    };
    return { trap, died };
  }

  /** Runs the test with the daemon's death after each write, until an operation ends before the death. */
  async function atEachWrite(
    operation: OperationCase,
    makeTrap: (nth: number) => ReturnType<typeof mortal>,
    proof: (written: Operation) => Promise<void>,
  ): Promise<void> {
    for (let nth = 1; nth < writesMax; nth++) {
      const { trap, died } = makeTrap(nth);
      await begin(operation, trap);
      const ended = operation.act(fake).then(
        () => null,
        () => null,
      );
      const written = await Promise.race([died, ended]);
      if (written === null) return expect(nth).toBeGreaterThan(2);
      await proof(written);
      await fake.close();
    }
    throw new Error('the operation has more writes than this proof expects');
  }

  describe.each(cases.map((operation) => [operation.kind, operation] as const))('%s', (_, operation) => {
    test('every step runs twice with the same result', async () => {
      const trap: Trap = {
        isArmed: false,
        wrap: (step) => (trap.isArmed ? { ...step, do: twice((context) => step.do(context)) } : step),
      };
      await begin(operation, trap);
      await operation.act(fake);
      expect(await stateNow(operation)).toBe(operation.succeeded);
      await expectRecord(operation, 'succeeded');
      await expectNothingLost(operation);
    });

    test('its steps are the ones tested here', async () => {
      const seen: string[] = [];
      const trap: Trap = {
        isArmed: false,
        recorded: async ({ kind }, step, phase) => {
          // Some operations begin others.
          if (trap.isArmed && phase === 'started' && kind === operation.kind) seen.push(step);
        },
      };
      await begin(operation, trap);
      await operation.act(fake);
      expect(seen).toEqual(operation.steps);
    });

    const failures = operation.steps.flatMap((step) => [
      [step, 'before its effect'] as const,
      [step, 'after its effect'] as const,
    ]);

    test.each(failures)('fails at %s %s: undone, twice, and usable again', async (at, when) => {
      const trap: Trap = {
        isArmed: false,
        wrap(step) {
          if (!trap.isArmed) return step;
          const { undo } = step;
          return {
            ...step,
            ...(step.name === at ? { do: failing(step, when) } : {}),
            ...(undo ? { undo: twice((context) => undo(context)) } : {}),
          };
        },
      };
      await begin(operation, trap);
      await expect(operation.act(fake)).rejects.toThrow(`injected into ${at}`);
      expect(operation.failed).toContain(await stateNow(operation));
      await expectRecord(operation, 'failed');
      await operation.world.expectFailureShown(fake, 'injected');
      trap.isArmed = false;
      await expectSound(operation);
    });

    test('the daemon dies after any write: finished after a restart', async () => {
      await atEachWrite(
        operation,
        (nth) => mortal(nth),
        async () => {
          await fake.recovered();
          expect(await stateNow(operation)).toBe(operation.succeeded);
          await expectRecord(operation, 'succeeded');
          await expectNothingLost(operation);
        },
      );
    });

    test('the daemon dies after any write of an operation that fails: undone after a restart', async () => {
      const last = operation.steps.at(-1);
      const wrap = (step: Step<unknown>) =>
        step.name === last ? { ...step, do: failing(step, 'after its effect') } : step;
      await atEachWrite(
        operation,
        (nth) => mortal(nth, { wrap }),
        async (written) => {
          // The write may be of an operation that this one began, and then this one may be writing as well.
          const isOwn = written.kind === operation.kind;
          const wasFailing = isFailing(isOwn ? written : await recorded(operation));
          await fake.recovered();
          // Until the failure was written, the next daemon does not know about it.
          const isFailed = wasFailing || (!isOwn && isFailing(await recorded(operation)));
          const allowed = isFailed ? operation.failed : [operation.succeeded];
          expect(allowed).toContain(await stateNow(operation));
          await expectRecord(operation, isFailed ? 'failed' : 'succeeded');
          expect(await fake.store.operations.open('host')).toEqual([]);
        },
      );
    });

    test.each(secondDeaths)(
      'the next daemon dies, too, after its write %i: finished by the third',
      async (nth) => {
        await atEachWrite(
          operation,
          (first) => mortal(first),
          async () => {
            const { trap, died } = mortal(nth);
            trap.isArmed = true;
            const next = await fake.restarted({ hooks: trap });
            const { ended } = await next.supervisor.recover();
            await Promise.race([died, ended]);
            await fake.recovered();
            expect(await stateNow(operation)).toBe(operation.succeeded);
            await expectRecord(operation, 'succeeded');
            await expectNothingLost(operation);
          },
        );
      },
    );

    test.each(faultsTried)(
      'any one commit is %s: the record and the host agree',
      async (fault: CommitFault) => {
        for (let nth = 1; nth < writesMax; nth++) {
          const trap: Trap = { isArmed: false };
          await begin(operation, trap);
          const before = await stateNow(operation);
          const commits = faults.commits + nth;
          faults.failAt(nth, fault);
          const outcome = await operation.act(fake).then(
            () => 'succeeded' as const,
            () => 'failed' as const,
          );
          const wasHit = faults.commits >= commits;
          const record = await recorded(operation);
          if (!wasHit || fault === 'lost') expect(outcome).toBe('succeeded');
          // The intent was not written, so nothing has happened.
          if (record === undefined || (outcome === 'failed' && nth === 1)) {
            expect(await stateNow(operation)).toBe(before);
          } else {
            const allowed = outcome === 'failed' ? operation.failed : [operation.succeeded];
            expect(allowed).toContain(await stateNow(operation));
            await expectRecord(operation, outcome);
          }
          await expectSound(operation);
          if (!wasHit) return expect(nth).toBeGreaterThan(2);
          await fake.close();
        }
        throw new Error('the operation has more commits than this proof expects');
      },
    );

    test('the store fails for good at any commit: the next daemon closes the operation', async () => {
      for (let nth = 1; nth < writesMax; nth++) {
        await begin(operation, { isArmed: false });
        const commits = faults.commits + nth;
        faults.failAt(nth, 'refused', 1_000);
        await operation.act(fake).catch(() => undefined);
        const wasHit = faults.commits >= commits;
        await fake.recovered();
        const record = await recorded(operation);
        if (record !== undefined) {
          expect(isOpen(record)).toBe(false);
          const allowed = record.state === 'succeeded' ? [operation.succeeded] : operation.failed;
          expect(allowed).toContain(await stateNow(operation));
        }
        await expectNothingLost(operation);
        if (!wasHit) return;
        await fake.close();
      }
      throw new Error('the operation has more commits than this proof expects');
    });
  });
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Move, next, type OperationEvent, type StepShape } from './next.ts';
import type { Operation, StepPhase } from './operation.ts';

const at = '2026-01-01T00:00:00.000Z';
const steps: readonly StepShape[] = [
  { name: 'clear', isOwedFromBegin: true },
  { name: 'launch', isVolatile: true },
  { name: 'ready', isVolatile: true },
];
const names = steps.map(({ name }) => name);

function operation(log: readonly StepPhase[] = [], fields: Partial<Operation> = {}): Operation {
  return {
    id: 'op1',
    tenant: 'default',
    kind: 'machine.start',
    subjects: [{ kind: 'machine', id: 'm1' }],
    params: {},
    state: 'running',
    steps: log.map((phase, index) => ({ name: names[index] ?? '', phase, output: null, at })),
    isCancelRequested: false,
    failure: null,
    owner: { hostId: 'host', epoch: 1, bootId: 'boot' },
    revision: 3,
    createdAt: at,
    updatedAt: at,
    ...fields,
  };
}

const takenUp: OperationEvent = { type: 'taken_up', hasHostRebooted: false };
const rebooted: OperationEvent = { type: 'taken_up', hasHostRebooted: true };
const failed: OperationEvent = { type: 'failed', failure: { code: 'engine', message: 'no' } };
const succeeded: OperationEvent = { type: 'step_succeeded', output: { pid: 1 } };

/** The move, and the log in the form `step phase`. */
function decided(before: Operation, event: OperationEvent): { move: Move; log: readonly string[] } {
  const result = next(before, event, steps, at);
  return { move: result.move, log: result.operation.steps.map(({ name, phase }) => `${name} ${phase}`) };
}

describe('forwards', () => {
  test('starts with the first step, and logs the end of a step together with the start of the next', () => {
    expect(decided(operation(), takenUp)).toEqual({
      move: { kind: 'do', step: 'clear' },
      log: ['clear started'],
    });
    expect(decided(operation(['started']), succeeded)).toEqual({
      move: { kind: 'do', step: 'launch' },
      log: ['clear succeeded', 'launch started'],
    });
  });

  test('succeeds after the last step, keeps its output, and increments the revision', () => {
    const result = next(operation(['succeeded', 'succeeded', 'started']), succeeded, steps, at);
    expect(result.move).toEqual({ kind: 'succeed' });
    expect(result.operation).toMatchObject({ state: 'succeeded', revision: 4, failure: null });
    expect(result.operation.steps.at(-1)).toMatchObject({ phase: 'succeeded', output: { pid: 1 } });
  });
});

describe('backwards', () => {
  test('undoes the newest step first, then steps owed from the start, and keeps the first failure', () => {
    const first = next(operation(['succeeded', 'started']), failed, steps, at).operation;
    expect(first).toMatchObject({
      state: 'undoing',
      failure: { code: 'engine', message: 'no', step: 'launch' },
    });
    const second = next(first, { type: 'step_undone' }, steps, at);
    expect(second.move).toEqual({ kind: 'undo', step: 'clear' });
    const later = next(second.operation, { type: 'step_undone' }, steps, at);
    expect(later.move).toEqual({ kind: 'close', as: 'failed', wasAbandoned: false });
    expect(later.operation).toMatchObject({ state: 'failed', failure: { step: 'launch' } });
  });

  test('undoes a step owed from the start even if it never ran', () => {
    expect(decided(operation(), failed)).toEqual({
      move: { kind: 'undo', step: 'clear' },
      log: ['clear undoing'],
    });
  });

  test('ends as cancelled after a cancel request', () => {
    const { operation: undoing } = next(operation(['started']), { type: 'cancelled' }, steps, at);
    expect(undoing).toMatchObject({ state: 'undoing', isCancelRequested: true });
    expect(next(undoing, { type: 'step_undone' }, steps, at).move).toMatchObject({ as: 'cancelled' });
  });
});

describe('taken up after a crash', () => {
  test('runs the interrupted step again, and no step that succeeded', () => {
    expect(decided(operation(['succeeded', 'started']), takenUp).move).toEqual({
      kind: 'do',
      step: 'launch',
    });
    expect(decided(operation(['succeeded', 'succeeded']), takenUp).move).toEqual({
      kind: 'do',
      step: 'ready',
    });
  });

  test('only closes the operation when all steps were done', () => {
    const all = operation(['succeeded', 'succeeded', 'succeeded']);
    expect(decided(all, takenUp).move).toEqual({ kind: 'succeed' });
  });

  test('continues an undo with the step whose undo was interrupted', () => {
    const undoing = operation(['succeeded', 'undoing'], { state: 'undoing' });
    expect(decided(undoing, takenUp).move).toEqual({ kind: 'undo', step: 'launch' });
    expect(decided(operation(['undone', 'undone'], { state: 'undoing' }), takenUp).move).toMatchObject({
      kind: 'close',
    });
  });

  test('is undone when it was cancelled', () => {
    const cancelled = operation(['succeeded'], { isCancelRequested: true });
    expect(decided(cancelled, takenUp).move).toEqual({ kind: 'undo', step: 'clear' });
  });

  test('repeats from the first step whose effect a reboot lost', () => {
    expect(decided(operation(['succeeded', 'succeeded', 'started']), rebooted)).toEqual({
      move: { kind: 'do', step: 'launch' },
      log: ['clear succeeded', 'launch started'],
    });
    expect(decided(operation(['succeeded']), rebooted).move).toEqual({ kind: 'do', step: 'launch' });
  });

  test('is abandoned when this version does not know a step that ran', () => {
    const unknown = [{ name: 'of-another-version', phase: 'started' as const, output: null, at }];
    const { operation: closed, move } = next(operation([], { steps: unknown }), takenUp, steps, at);
    expect(move).toEqual({ kind: 'close', as: 'failed', wasAbandoned: true });
    expect(closed.failure).toMatchObject({
      code: 'abandoned',
      message: expect.stringContaining('of-another-version'),
    });
  });
});

test('an operation that has ended is never written again', () => {
  for (const state of ['succeeded', 'failed', 'cancelled'] as const) {
    expect(() => next(operation([], { state }), takenUp, steps, at)).toThrow('has ended');
  }
});

test('always ends with every step done, or with every started step undone', () => {
  // The outcome of each move, and whether a crash or reboot follows.
  const turn = fc.record({ fails: fc.boolean(), crashes: fc.boolean(), reboots: fc.boolean() });
  fc.assert(
    fc.property(fc.array(turn, { minLength: 60, maxLength: 60 }), (turns) => {
      let { operation: now, move } = next(operation(), takenUp, steps, at);
      for (const { fails, crashes, reboots } of turns) {
        if (move.kind === 'succeed' || move.kind === 'close') break;
        let event: OperationEvent = { type: 'step_undone' };
        if (move.kind === 'do') event = fails ? failed : succeeded;
        if (crashes) event = { type: 'taken_up', hasHostRebooted: reboots };
        const revision = now.revision;
        ({ operation: now, move } = next(now, event, steps, at));
        expect(now.revision).toBe(revision + 1);
      }
      if (move.kind === 'do' || move.kind === 'undo') return;
      const phases = now.steps.map(({ phase }) => phase);
      if (move.kind === 'succeed') expect(phases).toEqual(['succeeded', 'succeeded', 'succeeded']);
      else expect(new Set(phases)).toEqual(new Set(['undone']));
    }),
  );
});

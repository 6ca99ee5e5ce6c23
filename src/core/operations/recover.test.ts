import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Machine } from '../machines/machine.ts';
import type { Operation, StepPhase } from './operation.ts';
import { planRecovery, redoFrom } from './recover.ts';
import type { OperationDefinition } from './runner.ts';

const steps = ['one', 'two', 'three'];
const definition = {
  steps: steps.map((name) => ({ name, timeoutMs: 1, do: async () => undefined })),
} as unknown as OperationDefinition;
const machine = { id: 'm', operationId: 'op' } as Machine;

function operation(
  log: readonly (readonly [string, StepPhase])[],
  fields: Partial<Operation> = {},
): Operation {
  return {
    id: 'op',
    tenant: 'default',
    kind: 'machine.start',
    machineId: 'm',
    params: {},
    state: 'running',
    steps: log.map(([name, phase]) => ({ name, phase, output: null, at: '' })),
    isCancelRequested: false,
    failure: null,
    createdAt: '',
    updatedAt: '',
    ...fields,
  };
}

describe('planRecovery', () => {
  test('killed before the first step: continues with it', () => {
    expect(planRecovery(operation([]), definition, machine, false)).toEqual({
      action: 'continue',
      step: 'one',
    });
  });

  test('killed in a step: runs it again', () => {
    const log = [
      ['one', 'succeeded'],
      ['two', 'started'],
    ] as const;
    expect(planRecovery(operation(log), definition, machine, false)).toEqual({ action: 'redo', step: 'two' });
  });

  test('killed after the last step: writes the end', () => {
    const log = steps.map((name) => [name, 'succeeded'] as const);
    expect(planRecovery(operation(log), definition, machine, false)).toEqual({
      action: 'continue',
      step: null,
    });
  });

  test('killed while undoing, or cancelled: undoes', () => {
    expect(planRecovery(operation([], { state: 'undoing' }), definition, machine, false).action).toBe('undo');
    expect(planRecovery(operation([], { isCancelRequested: true }), definition, machine, false).action).toBe(
      'undo',
    );
  });

  test('gives up with a reason on what it cannot understand', () => {
    expect(planRecovery(operation([]), definition, null, false)).toMatchObject({
      action: 'give_up',
      reason: expect.stringMatching(/gone/),
    });
    const other = { ...machine, operationId: 'later' };
    expect(planRecovery(operation([]), definition, other, false)).toMatchObject({
      action: 'give_up',
      reason: expect.stringMatching(/another/),
    });
    expect(planRecovery(operation([['four', 'started']]), definition, machine, false)).toMatchObject({
      action: 'give_up',
      reason: expect.stringMatching(/'four'/),
    });
  });

  test('after a reboot of the host, what did not survive it is done again', () => {
    const volatile = {
      steps: definition.steps.map((step) => ({ ...step, isVolatile: step.name === 'two' })),
    } as unknown as OperationDefinition;
    const log = operation([
      ['one', 'succeeded'],
      ['two', 'succeeded'],
      ['three', 'started'],
    ]);
    expect(planRecovery(log, volatile, machine, true)).toEqual({ action: 'redo', step: 'two' });
    expect(redoFrom(log, 'two').steps.map(({ name }) => name)).toEqual(['one']);
    expect(planRecovery(log, volatile, machine, false)).toEqual({ action: 'redo', step: 'three' });
    expect(planRecovery(operation([['one', 'succeeded']]), volatile, machine, true)).toEqual({
      action: 'continue',
      step: 'two',
    });
  });

  test('never skips a step that has not succeeded', () => {
    const phases = fc.constantFrom<StepPhase>('started', 'succeeded');
    fc.assert(
      fc.property(fc.array(phases, { maxLength: 3 }), (log) => {
        const plan = planRecovery(
          operation(log.map((phase, i) => [steps[i] ?? '', phase])),
          definition,
          machine,
          false,
        );
        const firstOpen = log.indexOf('started');
        const expected = firstOpen < 0 ? (steps[log.length] ?? null) : steps[firstOpen];
        expect(plan).toMatchObject({ step: expected });
      }),
    );
  });
});

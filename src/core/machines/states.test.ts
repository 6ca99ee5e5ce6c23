import { describe, expect, test } from 'vitest';
import {
  decide,
  isSoonAccepted,
  isTransit,
  type MachineAction,
  machineStates,
  transitions,
} from './states.ts';

const actions: readonly MachineAction[] = [
  'start',
  'restart',
  'stop',
  'pause',
  'resume',
  'snapshot',
  'exec',
  'delete',
];

describe('decide', () => {
  test.each([
    ['start', 'created', 'accept'],
    ['start', 'failed', 'accept'],
    ['start', 'running', 'ignore'],
    ['start', 'stopping', 'deny'],
    ['restart', 'running', 'accept'],
    ['restart', 'stopped', 'deny'],
    ['stop', 'starting', 'cancel'],
    ['stop', 'stopped', 'ignore'],
    ['stop', 'failed', 'accept'],
    ['stop', 'creating', 'deny'],
    ['exec', 'running', 'accept'],
    ['exec', 'paused', 'deny'],
    ['delete', 'creating', 'cancel'],
    ['delete', 'running', 'deny'],
    ['delete', 'starting', 'deny'],
    ['delete', 'deleting', 'ignore'],
  ] as const)('%s on %s: %s', (action, state, verdict) => {
    expect(decide(action, state).verdict).toBe(verdict);
  });

  test('force deletes running and paused machines, and cancels operations', () => {
    expect(decide('delete', 'running', true).verdict).toBe('accept');
    expect(decide('delete', 'paused', true).verdict).toBe('accept');
    for (const state of ['starting', 'pausing', 'resuming', 'stopping'] as const) {
      expect(decide('delete', state, true).verdict, state).toBe('cancel');
      expect(decide('delete', state).verdict, state).toBe('deny');
    }
    expect(decide('delete', 'deleting', true).verdict).toBe('ignore');
  });

  test('only a cancel is accepted in a transit state', () => {
    for (const state of machineStates.filter(isTransit)) {
      for (const action of actions) {
        expect(decide(action, state, true).verdict, `${action} in ${state}`).not.toBe('accept');
      }
    }
  });
});

test.each([
  ['exec', 'starting', true],
  ['exec', 'stopping', false],
  ['start', 'stopping', true],
  ['start', 'starting', false],
  ['stop', 'creating', false],
  ['resume', 'pausing', true],
  ['delete', 'stopping', true],
  ['delete', 'starting', false],
  ['start', 'running', false],
] as const)('%s denied in %s is soon accepted: %s', (action, state, isSoon) => {
  expect(isSoonAccepted(action, state)).toBe(isSoon);
});

describe('transitions', () => {
  test('every state but the first is reached from another', () => {
    const reached = new Set(Object.values(transitions).flat());
    expect(machineStates.filter((state) => !reached.has(state))).toEqual(['creating']);
  });

  test('every transit state leads to a stable one', () => {
    for (const state of machineStates.filter(isTransit)) {
      expect(transitions[state].length, state).toBeGreaterThan(0);
      for (const next of transitions[state]) expect(isTransit(next), `${state} → ${next}`).toBe(false);
    }
  });

  test('failed can be left by start, stop and delete', () => {
    expect(transitions.failed).toEqual(expect.arrayContaining(['starting', 'stopping', 'deleting']));
  });
});

import { expect, it } from 'vitest';
import { interleave, type Subject } from './interleave.ts';

const never = new AbortController().signal;

/** Two subjects that record when they are measured; a sample is the number of measurements so far. */
function makeSubjects(): { readonly subjects: readonly Subject[]; readonly taken: string[] } {
  const taken: string[] = [];
  const subjects = ['a', 'b'].map((name) => ({
    name,
    measure: async () => taken.push(name),
  }));
  return { subjects, taken };
}

it('measures in turn and returns each subject’s samples in the order of rounds', async () => {
  const { subjects, taken } = makeSubjects();
  const samples = await interleave(subjects, { rounds: 3, warmUps: 0, signal: never });
  expect(taken).toEqual(['a', 'b', 'b', 'a', 'a', 'b']);
  expect(samples).toEqual([
    [1, 4, 5],
    [2, 3, 6],
  ]);
});

it('drops the warm-up rounds and reports only the others', async () => {
  const { subjects, taken } = makeSubjects();
  const rounds: number[] = [];
  const onRound = (round: number) => rounds.push(round);
  const samples = await interleave(subjects, { rounds: 1, warmUps: 2, signal: never, onRound });
  expect(taken).toHaveLength(6);
  expect(samples).toEqual([[5], [6]]);
  expect(rounds).toEqual([0]);
});

it('stops between two measurements when aborted', async () => {
  const controller = new AbortController();
  const { subjects, taken } = makeSubjects();
  const onRound = () => controller.abort(new Error('enough'));
  const { signal } = controller;
  await expect(interleave(subjects, { rounds: 9, warmUps: 0, signal, onRound })).rejects.toThrow('enough');
  expect(taken).toHaveLength(2);
});

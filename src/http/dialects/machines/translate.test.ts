import { expect, test } from 'vitest';
import { machineStatuses } from './schema.ts';
import { statesOf, statesToWaitFor } from './translate.ts';

test('a filter finds machines in transit by the status they are shown with; a wait is for one that holds still', () => {
  expect(statesOf('running')).toEqual(expect.arrayContaining(['running', 'pausing']));
  expect(statesToWaitFor('running')).toEqual(['running']);
  expect(statesToWaitFor('paused')).toEqual(['paused']);
  expect(statesToWaitFor('pending')).toEqual(['created']);
});

test('every status can be waited for', () => {
  for (const status of machineStatuses) expect(statesToWaitFor(status), status).not.toEqual([]);
});

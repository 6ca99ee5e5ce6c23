import { expect, test } from 'vitest';
import { machineStatuses } from './schema.ts';
import { statesOf, statesToWaitFor } from './translate.ts';

test('a filter includes transit states shown with the status; a wait only stable ones', () => {
  expect(statesOf('running')).toEqual(expect.arrayContaining(['running', 'pausing']));
  expect(statesToWaitFor('running')).toEqual(['running']);
  expect(statesToWaitFor('paused')).toEqual(['paused']);
  expect(statesToWaitFor('pending')).toEqual(['created']);
});

test('it is possible to wait for every status', () => {
  for (const status of machineStatuses) expect(statesToWaitFor(status), status).not.toEqual([]);
});

/** The golden files of HyperMachine's dialect; `test/golden` says what they are. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { missingCells } from '../../../../test/golden/cells.ts';
import { testGolden } from '../../../../test/golden/golden.contract.ts';
import { vmActions, vmStates } from './schema.ts';
import { stateWord } from './translate.ts';

const conversations = testGolden({
  folder: join(import.meta.dirname, 'golden'),
  document: 'hypermachine',
  checkError: (body, requestId, name) =>
    expect(body, name).toMatchObject({ error: { details: expect.any(Object), request_id: requestId } }),
});

test('the golden files have every action in every state', () => {
  const missing = missingCells(conversations, {
    prefix: '/api/v1/vms',
    actions: [...vmActions, 'script', 'delete'],
    words: vmStates,
    wordOf: stateWord,
    denied: 409,
  });
  expect(missing).toEqual([]);
});

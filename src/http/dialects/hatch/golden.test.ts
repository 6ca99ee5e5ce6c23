/** The golden files of Hatch's routes; `test/golden` says what they are. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { testGolden } from '../../../../test/golden/golden.contract.ts';

testGolden({
  folder: join(import.meta.dirname, 'golden'),
  document: 'hatch',
  exceptions: {
    'snapshotVM 201': 'there are no snapshots yet',
    'restoreVM 200': 'there are no snapshots yet',
  },
  checkError: (body, _, name) => expect(body, name).toEqual({ error: expect.stringMatching(/./) }),
});

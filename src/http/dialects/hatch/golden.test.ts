/** The golden files of Hatch's routes; `test/golden` says what they are. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { testGolden } from '../../../../test/golden/golden.contract.ts';

testGolden({
  folder: join(import.meta.dirname, 'golden'),
  document: 'hatch',
  checkError: (body, _, name) => expect(body, name).toEqual({ error: expect.stringMatching(/./) }),
});

/** The golden files of commands; `test/golden` says what they are. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { testGolden } from '../../../../../test/golden/golden.contract.ts';

testGolden({
  folder: join(import.meta.dirname, 'golden'),
  document: 'machines',
  covers: ({ path }) => /^\/machines\/[^/]+\/execs?(?:\/|$)/.test(path),
  exceptions: {
    'feedExec 408': 'takes a minute: uploaded-chunks.test.ts',
  },
  checkError: (body, requestId, name) =>
    expect(body, name).toMatchObject({ error: { request_id: requestId } }),
});

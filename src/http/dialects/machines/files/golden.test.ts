/** The golden files of files of machines; `test/golden` says what they are. */
import { join } from 'node:path';
import { expect } from 'vitest';
import { testGolden } from '../../../../../test/golden/golden.contract.ts';

const slow = 'takes a minute: uploaded-chunks.test.ts';

testGolden({
  folder: join(import.meta.dirname, 'golden'),
  document: 'machines',
  covers: ({ tags }) => tags?.includes('files') ?? false,
  exceptions: {
    'writeFile 408': slow,
    'uploadFile 408': slow,
    'uploadArchive 408': slow,
  },
  checkError: (body, requestId, name) =>
    expect(body, name).toMatchObject({ error: { request_id: requestId } }),
});

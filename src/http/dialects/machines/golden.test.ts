/** The golden files of the native dialect's machines; `test/golden` says what they are. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { missingCells } from '../../../../test/golden/cells.ts';
import { testGolden } from '../../../../test/golden/golden.contract.ts';
import { machineStatuses } from './schema.ts';
import { statusWord } from './translate.ts';

const commonReason =
  'the gate and the errors of every route: auth, failures and unreadable.json of the others';
const commonOfNetwork = Object.fromEntries(
  Object.entries({
    listMachinePorts: [401, 403, 500, 503],
    publishMachinePort: [401, 403, 500, 503, 504, 413, 415],
    unpublishMachinePort: [401, 403, 500, 503, 504],
    listDeniedEgress: [401, 403, 500, 503],
    // As those of pause and start.
    suspendMachine: [401, 403, 404, 409, 413, 415, 500, 502, 503, 504],
  }).flatMap(([operation, statuses]) => statuses.map((status) => [`${operation} ${status}`, commonReason])),
);

const conversations = testGolden({
  folder: join(import.meta.dirname, 'golden'),
  document: 'machines',
  covers: ({ tags, operationId }) => tags?.includes('machines') === true && operationId !== 'execInMachine',
  exceptions: {
    getMachineConsole: 'its answer is a text that goes on: console.test.ts',
    ...commonOfNetwork,
  },
  checkError: (body, requestId, name) =>
    expect(body, name).toMatchObject({ error: { request_id: requestId } }),
});

test('the golden files have every action in every status', () => {
  const missing = missingCells(conversations, {
    prefix: '/machines',
    actions: ['start', 'stop', 'restart', 'pause', 'resume', 'suspend', 'exec', 'delete'],
    words: machineStatuses,
    wordOf: statusWord,
    denied: 400,
  });
  expect(missing).toEqual([]);
});

test('the golden files say what to do next wherever a request is refused', () => {
  const silent = conversations.flatMap(({ title, exchanges }) =>
    exchanges
      .filter(({ response }) => [400, 413, 415].includes(response.status))
      .filter(({ response }) => !hasHint(response.body))
      .map(({ request }) => `${title}: ${request.method} ${request.path}`),
  );
  expect(silent).toEqual([]);
});

function hasHint(body: unknown): boolean {
  const { hint } = (body as { readonly error: { readonly hint?: unknown } }).error;
  return typeof hint === 'string' && hint !== '';
}

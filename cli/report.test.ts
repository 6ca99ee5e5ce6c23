/** How failures of the API read on the command line. */
import { expect, test } from 'vitest';
import { FlotillaError } from '../sdk/src/index.ts';
import type { CliConfig } from './config.ts';
import { describeError } from './report.ts';

const config: CliConfig = {
  ...{ url: 'http://127.0.0.1:3000', urlFrom: 'the default', key: 'hf_x', keyFrom: 'FLOTILLA_KEY' },
  ...{ socketPath: null, isLocal: true, isMixed: false },
};
const invocation = {
  noun: { plural: 'machines', listing: 'flotilla ls' },
  help: 'flotilla create --help',
};

function described(message: string, hint: string, retryable = false): string {
  const error = new FlotillaError({ status: 400, code: 'BAD_REQUEST', message, hint, retryable });
  return describeError(error, { ...invocation, config });
}

test.each([
  // The API's document is the command's help here.
  ['limit must be at most 1000', 'GET /docs describes this request.', 'flotilla create --help explains it'],
  ['The name is taken', 'Choose another one.', 'Choose another one'],
  // A command is clearer than the API's own hint.
  ["Cannot start machine in 'paused' state", 'Resume it instead.', 'flotilla resume continues it'],
])('%s: the hint is for the command line', (message, hint, shown) => {
  expect(described(message, hint)).toBe(`error: ${message}\nhint: ${shown}\n`);
});

test('a guest’s failure is told by its reason', () => {
  const told = {
    code: 'VSOCK_ERROR',
    message: 'Failed to communicate with VM',
    hint: 'The guest cannot start: no root.',
  };
  const error = new FlotillaError({ status: 502, requestId: 'r1', ...told });
  expect(describeError(error, { ...invocation, config, about: 'web' })).toBe(
    'error: web: The guest cannot start: no root\nhint: flotilla logs shows what the guest printed\n',
  );
});

test('a state that passes is waited for, not changed', () => {
  const hint = 'It is starting; try again in a moment.';
  expect(described('Machine must be running to execute commands', hint, true)).toBe(
    'error: Machine must be running to execute commands\nhint: It is starting; try again in a moment\n',
  );
});

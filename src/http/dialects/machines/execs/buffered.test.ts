/**
 * Buffered answers of commands: complete or marked as truncated, charged to the caller, and kept if the
 * command fails.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../../../../../test/support/fake.ts';
import type { ExecEvent, ExecOutcome } from '../../../../core/ports/guest.ts';
import type { HttpServer } from '../../../server.ts';

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let id: string;

beforeEach(async () => {
  fake = await startFake();
  ({ server, url } = await serveFake(fake));
  const created = await call('POST', '/machines', { name: 'web', vcpu_count: 1, mem_size_mib: 128 });
  ({ id } = (await created.json()) as { id: string });
  await call('POST', `/machines/${id}/start`);
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

const call = (method: string, path: string, body?: unknown) =>
  fetch(`${url}${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${testKey}`,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const exec = () => call('POST', `/machines/${id}/exec`, { command: ['x'], timeout: 1 });
const output = (type: 'stdout' | 'stderr', data: string | Uint8Array): ExecEvent => ({
  type,
  data: typeof data === 'string' ? new TextEncoder().encode(data) : data,
});
const end = (outcome: ExecOutcome): ExecEvent => ({ type: 'outcome', outcome });
const success = end({ outcome: 'exited', exitCode: 0 });
const mebibytes = (count: number) => new Uint8Array(count * 1024 * 1024).fill(97);

describe('a command that does not end by itself', () => {
  test.each([
    ['at its timeout', end({ outcome: 'timed_out' }), 504, 'TIMEOUT'],
    ['without a word of how', end({ outcome: 'unknown', reason: 'lost' }), 502, 'VSOCK_ERROR'],
  ])('%s: the error contains its output so far', async (_, outcome, status, code) => {
    fake.guest.events = [output('stdout', 'one\n'), output('stderr', 'two'), output('stdout', '3'), outcome];
    const response = await exec();
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({
      error: {
        code,
        retryable: false,
        details: {
          ...{ stdout: 'one\n3', stderr: 'two', stdout_truncated: false, stderr_truncated: false },
          ...{ stdout_bytes: 5, stderr_bytes: 3 },
        },
      },
    });
  });

  test('the error contains the beginning of long output, and says so', async () => {
    fake.guest.events = [output('stderr', mebibytes(2)), end({ outcome: 'timed_out' })];
    const { error } = (await (await exec()).json()) as {
      error: { details: { stdout: string; stderr: string; stdout_truncated: boolean } };
    };
    expect(error.details.stderr).toHaveLength(1024 * 1024);
    expect(error.details).toMatchObject({ stdout: '', stdout_truncated: false, stderr_truncated: true });
  });
});

test('a large answer is the same JSON value as a small one', async () => {
  const text = `"\\\u0000\u0001\n\u2028${'é🚢'.repeat(50_000)}`;
  fake.guest.events = [output('stdout', text), output('stderr', `\u001b[0m${text}`), success];
  const response = await exec();
  expect(response.headers.get('content-type')).toBe('application/json');
  expect(await response.json()).toEqual({
    ...{ exit_code: 0, outcome: 'exited', signal: null },
    ...{ stdout: text, stderr: `\u001b[0m${text}`, stdout_truncated: false, stderr_truncated: false },
    ...{ stdout_bytes: Buffer.byteLength(text), stderr_bytes: 4 + Buffer.byteLength(text) },
  });
});

test('an answer keeps the first 8 MiB of a stream, and tells how much there was', async () => {
  fake.guest.events = [output('stdout', mebibytes(9)), output('stderr', 'x'), success];
  const { stdout, ...rest } = (await (await exec()).json()) as { stdout: string };
  expect(stdout).toHaveLength(8 * 1024 * 1024);
  expect(rest).toMatchObject({
    ...{ stdout_truncated: true, stderr_truncated: false, stdout_bytes: 9 * 1024 * 1024, stderr_bytes: 1 },
  });
});

test.each([
  ['small', 1],
  ['large', 50_000],
])('bytes that are not UTF-8 are replaced, or all there in base64: a %s answer', async (_, times) => {
  const bytes = Buffer.concat(Array(times).fill(Buffer.from([0x61, 0xff, 0x00, 0xc3])));
  fake.guest.events = [output('stdout', bytes), output('stderr', bytes.subarray(1)), success];
  const text = (await (await exec()).json()) as { stdout: string };
  expect(text.stdout).toBe(bytes.toString());
  const inBase64 = await call('POST', `/machines/${id}/exec`, { command: ['x'], encoding: 'base64' });
  expect(await inBase64.json()).toMatchObject({
    ...{ stdout: bytes.toString('base64'), stderr: bytes.subarray(1).toString('base64') },
    stdout_bytes: bytes.length,
  });
});

test('the error of a command in base64 has its output in base64', async () => {
  fake.guest.events = [output('stdout', Buffer.from([0xff])), end({ outcome: 'timed_out' })];
  const answer = await call('POST', `/machines/${id}/exec`, { command: ['x'], encoding: 'base64' });
  expect(await answer.json()).toMatchObject({ error: { details: { stdout: '/w==', stderr: '' } } });
});

test('buffered output is charged to the caller: it is cut beyond the caller’s memory, which is freed afterwards', async () => {
  const both = [output('stdout', mebibytes(8)), output('stderr', mebibytes(8))];
  const { promise: isEnough, resolve: go } = Promise.withResolvers<void>();
  const { promise: hasAll, resolve: holding } = Promise.withResolvers<void>();
  const inner = fake.guest.exec.bind(fake.guest);
  fake.guest.exec = async () => ({
    kill: () => undefined,
    async *[Symbol.asyncIterator]() {
      yield* both;
      holding();
      await isEnough;
      yield success;
    },
  });
  const first = exec();
  await hasAll;
  fake.guest.exec = inner;
  fake.guest.events = [...both, success];
  expect(await (await exec()).json()).toMatchObject({
    ...{ exit_code: 0, stdout_truncated: false, stderr_truncated: true },
    stderr_bytes: 8 * 1024 * 1024,
  });
  go();
  const whole = { stdout_truncated: false, stderr_truncated: false };
  expect(await (await first).json()).toMatchObject(whole);
  expect(await (await exec()).json()).toMatchObject(whole);
});

/** The daemon's log: JSON lines that name requests, machines and operations, and never a secret or a guest's output. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { HttpServer } from '../../src/http/server.ts';
import { type FakeFlotilla, serveFake, startFake, testKey } from '../support/fake.ts';

type Line = Readonly<Record<string, unknown>>;

let fake: FakeFlotilla;
let server: HttpServer;
let url: string;
let logged = '';

/** At the most verbose level, without the additional redaction of the daemon's own logger. */
beforeEach(async () => {
  logged = '';
  const sink = new Writable({
    write(chunk, _, done) {
      logged += String(chunk);
      done();
    },
  });
  const log = pino({ level: 'trace' }, sink);
  fake = await startFake({ log });
  fake.guest.onShutdown = ({ incarnation }) => fake.driver.machine(incarnation).powerOff();
  ({ server, url } = await serveFake(fake, { log }));
});
afterEach(async () => {
  await server.close(0);
  await fake.close();
});

const lines = (): Line[] =>
  logged
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);
async function ask(method: string, path: string, body?: unknown) {
  const answer = await fetch(url + path, {
    method,
    headers: { Authorization: `Bearer ${testKey}`, 'Content-Type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, requestId: answer.headers.get('x-request-id'), text };
}

const spec = { name: 'web', vcpu_count: 1, mem_size_mib: 128, image: 'busybox' };

test('a request’s line has its id, its machine and its operation, which has a line of its own', async () => {
  const created = await ask('POST', '/machines', spec);
  const { id } = await fake.machines.get('default', 'web');
  const started = await ask('POST', '/machines/web/start');
  expect([created.status, started.status]).toEqual([201, 200]);
  const request = lines().find(({ msg, requestId }) => msg === 'request' && requestId === started.requestId);
  expect(request).toMatchObject({
    machine: id,
    path: '/machines/web/start',
    status: 200,
    isOperator: true,
  });
  const ended = lines().find(({ operation, msg }) => operation === request?.operation && msg !== 'request');
  const { requestId } = started;
  const kind = 'machine.start';
  expect(ended).toMatchObject({ msg: 'operation ended', machine: id, kind, state: 'succeeded', requestId });
  for (const line of lines())
    expect(line).toMatchObject({ time: expect.any(Number), msg: expect.any(String) });
});

test('a failed operation, and one that no request began', async () => {
  await ask('POST', '/machines', spec);
  const { id } = await fake.machines.get('default', 'web');
  fake.driver.failNext('launch');
  const failed = await ask('POST', '/machines/web/start');
  const { requestId } = failed;
  const ended = lines().find(({ msg, state }) => msg === 'operation ended' && state === 'failed');
  expect(ended).toMatchObject({ machine: id, requestId });
  const why = lines().find(({ msg }) => msg === 'machine.start failed');
  expect(why).toMatchObject({ operation: ended?.operation, err: { message: expect.any(String) } });
  await fake.machines.start('default', 'web');
  const own = lines().findLast(({ msg }) => msg === 'operation ended');
  expect(own).toMatchObject({ machine: id, state: 'succeeded' });
  expect(own).not.toHaveProperty('requestId');
});

test('names no secret of a machine, a command or a guest', async () => {
  const secret = 'correct-horse-battery';
  await ask('POST', '/machines', {
    ...spec,
    env: { TOKEN: secret },
    user_data: `#!/bin/sh\necho ${secret}\n`,
  });
  await ask('POST', '/machines/web/start');
  const { incarnation } = await fake.machines.get('default', 'web');
  fake.driver.machine(incarnation ?? '').print(`password: ${secret}\n`);
  fake.guest.events = [
    { kind: 'stdout', bytes: Buffer.from(secret) },
    { kind: 'exit', exitCode: 3 },
  ] as never;
  const ran = [
    await ask('POST', '/machines/web/exec', {
      command: ['login', secret],
      env: { TOKEN: secret },
      stdin: secret,
    }),
    await ask('POST', '/machines/web/exec', { command: ['login', secret], nonsense: secret }),
    await ask('GET', `/machines/web/console?lines=${secret}`),
    await ask('GET', `/machines?label=${secret}`),
  ];
  expect(ran.map(({ status }) => status >= 200)).not.toContain(false);
  fake.driver.machine(incarnation ?? '').die();
  await fake.machines.wait(
    'default',
    'web',
    { states: ['failed'], timeoutMs: 5_000 },
    new AbortController().signal,
  );
  expect(lines().length).toBeGreaterThan(5);
  for (const hidden of [secret, testKey]) expect(logged).not.toContain(hidden);
});

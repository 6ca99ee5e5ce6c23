import { expect, test } from 'vitest';
import { FlotillaClient } from '../../sdk/src/index.ts';
import { runningMachine } from './first-machine.ts';

/** A client whose requests get these answers in order. */
function scripted(...answers: readonly (readonly [string, number, string?])[]) {
  const left = [...answers];
  const client = new FlotillaClient({
    url: 'http://daemon',
    fetch: async (url, init) => {
      const request = `${init.method} ${new URL(url).pathname}`;
      const [expected, status, word = ''] = left.shift() ?? ['nothing more', 599];
      if (request !== expected) throw new Error(`${request} instead of ${expected}`);
      const machine = { id: 'm1', name: 'first', status: word };
      const error = { error: { code: 'X', message: word } };
      return Response.json(status < 400 ? machine : error, { status });
    },
  });
  return { client, left };
}

const get = 'GET /machines/first';
const getById = 'GET /machines/m1';
const create = 'POST /machines';
const start = 'POST /machines/m1/start';
const wait = 'GET /machines/m1/wait';
const resume = 'POST /machines/m1/resume';

test('creates and starts it when there is none', async () => {
  const { client, left } = scripted([get, 404], [create, 201, 'pending'], [start, 200, 'running']);
  expect(await runningMachine(client)).toMatchObject({ status: 'running' });
  expect(left).toEqual([]);
});

test('uses a machine that another caller made meanwhile, and waits while it is being started', async () => {
  const { client, left } = scripted(
    [get, 404],
    [create, 409],
    [get, 200, 'pending'],
    [start, 400, "Cannot start machine in 'pending' state"],
    [getById, 200, 'starting'],
    [wait, 200, 'running'],
  );
  expect(await runningMachine(client)).toMatchObject({ status: 'running' });
  expect(left).toEqual([]);
});

test('starts it if the caller that made it does not', async () => {
  const { client, left } = scripted(
    [get, 200, 'pending'],
    [start, 400],
    [getById, 200, 'pending'],
    [wait, 504],
    [get, 200, 'pending'],
    [start, 200, 'running'],
  );
  expect(await runningMachine(client)).toMatchObject({ status: 'running' });
  expect(left).toEqual([]);
});

test('resumes it when it is paused, even if another caller has paused it meanwhile', async () => {
  const paused = scripted([get, 200, 'paused'], [resume, 200, 'running']);
  expect(await runningMachine(paused.client)).toMatchObject({ status: 'running' });
  const meanwhile = scripted(
    [get, 200, 'stopped'],
    [start, 400],
    [getById, 200, 'paused'],
    [wait, 504],
    [get, 200, 'paused'],
    [resume, 200, 'running'],
  );
  expect(await runningMachine(meanwhile.client)).toMatchObject({ status: 'running' });
  expect(meanwhile.left).toEqual([]);
});

test('gives up on failures that another start would not fix', async () => {
  const failing = scripted([get, 200, 'stopped'], [start, 500, 'no guest']);
  await expect(runningMachine(failing.client)).rejects.toMatchObject({ message: 'no guest' });
  const failed = scripted(
    [get, 200, 'starting'],
    [start, 400],
    [getById, 200, 'starting'],
    [wait, 400, 'has failed'],
  );
  await expect(runningMachine(failed.client)).rejects.toMatchObject({ message: 'has failed' });
});

test('does not follow other callers longer than allowed', async () => {
  const { client } = scripted([get, 200, 'starting'], [start, 400, 'no']);
  await expect(runningMachine(client, -1)).rejects.toMatchObject({ message: 'no' });
});

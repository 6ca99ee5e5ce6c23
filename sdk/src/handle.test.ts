import { expect, test } from 'vitest';
import { FlotillaClient } from './client.ts';
import { bodyOf, sendJson, serve } from './testing/server.ts';

const b64 = (text: string) => Buffer.from(text).toString('base64');
const machine = { id: 'm1', name: 'web' };

/** A server with one machine; `asked` lists what it was asked for. */
async function machineServer({ startStatus = 200, lines = [] as readonly object[] } = {}) {
  const asked: [string, unknown][] = [];
  const server = await serve(async (request, response) => {
    const hasBody = request.headers['content-type'] !== undefined;
    asked.push([`${request.method} ${request.url}`, hasBody ? await bodyOf(request) : null]);
    if (request.url?.endsWith('/exec')) {
      response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      return void response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    }
    if (request.url?.endsWith('/start') && startStatus !== 200)
      return sendJson(response, startStatus, { error: { code: 'TIMEOUT', message: 'no answer' } });
    if (request.method === 'DELETE') return void response.writeHead(204).end();
    sendJson(response, 200, machine);
  });
  return { ...server, asked };
}

test('launches, runs, and removes the machine at the end of the block', async () => {
  const lines = [
    { type: 'stdout', offset: 0, data: b64('hel') },
    { type: 'stderr', offset: 0, data: b64('oops') },
    { type: 'stdout', offset: 3, data: b64('lo') },
    { type: 'outcome', outcome: 'exited', exit_code: 3 },
  ];
  await using server = await machineServer({ lines });
  const { machines } = new FlotillaClient({ url: server.url });
  const seen: string[] = [];
  {
    await using handle = await machines.launch({ image: 'busybox', name: 'web' });
    const result = await handle.run('echo hello', {
      env: { A: '1' },
      onStdout: (data) => seen.push(Buffer.from(data).toString()),
    });
    expect(result).toEqual({
      ...{ outcome: { outcome: 'exited', exit_code: 3 }, exitCode: 3, isTruncated: false },
      ...{ stdout: 'hello', stderr: 'oops' },
    });
  }
  expect(seen).toEqual(['hel', 'lo']);
  expect(server.asked).toEqual([
    ['POST /machines', { image: 'busybox', name: 'web', vcpu_count: 1, mem_size_mib: 512 }],
    ['POST /machines/m1/start', null],
    ['POST /machines/m1/exec', { command: ['sh', '-c', 'echo hello'], env: { A: '1' } }],
    ['DELETE /machines/m1?force=true', null],
  ]);
});

test('a machine that does not start is removed, and the start says why', async () => {
  await using server = await machineServer({ startStatus: 504 });
  const { machines } = new FlotillaClient({ url: server.url });
  await expect(machines.launch({ image: 'busybox' })).rejects.toMatchObject({ message: 'no answer' });
  expect(server.asked.at(-1)?.[0]).toBe('DELETE /machines/m1?force=true');
});

test('a command that was lost is a result, too', async () => {
  await using server = await machineServer({ lines: [{ type: 'stdout', offset: 0, data: b64('half') }] });
  const { machines } = new FlotillaClient({ url: server.url });
  const handle = await machines.launch({});
  expect(await handle.run(['cat', '/x'])).toMatchObject({
    ...{ outcome: { outcome: 'unknown' }, exitCode: null, stdout: 'half' },
  });
});

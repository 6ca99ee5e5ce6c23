/** Tests against the real guest agent, run outside a VM. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { AppError } from '../core/errors.ts';
import type { ExecOutcome, ExecRequest, ExecSession, GuestTarget } from '../core/ports/guest.ts';
import { parseUserData } from '../core/user-data/parse.ts';
import { userDataOf } from '../core/user-data/user-data.ts';
import { exists } from '../lib/files.ts';
import { GuestClient } from './client.ts';
import { GoPrograms, type RunningProgram } from './testing/go-programs.ts';
import type { GuestTimings } from './timings.ts';
import { dialVirtioSerial } from './transports/virtio-serial.ts';

const never = new AbortController().signal;
const secret = Buffer.alloc(32, 3);

let programs: GoPrograms;
let agent: RunningProgram;
let client: GuestClient;
let target: GuestTarget;

beforeAll(async () => {
  programs = await GoPrograms.build('guest-agent');
});
afterAll(() => programs?.close());
beforeEach(async () => {
  agent = await programs.start('guest-agent', (path) => ['serve', '--socket', path]);
  target = { machineId: 'm1', incarnation: 'i1', address: { transport: 'virtio-serial', path: agent.path } };
  client = makeClient();
});
afterEach(async () => {
  await client.close();
  await agent.stop();
});

function makeClient(timings: Partial<GuestTimings> = {}): GuestClient {
  return new GuestClient({ secret, transports: { 'virtio-serial': dialVirtioSerial }, timings });
}

const exec = (argv: readonly string[], request: Partial<ExecRequest> = {}) =>
  client.exec(target, { argv, timeoutMs: 30_000, ...request }, never);
const sh = (script: string, request: Partial<ExecRequest> = {}) => exec(['/bin/sh', '-c', script], request);

interface Collected {
  readonly stdout: string;
  readonly stderr: string;
  readonly outcome: ExecOutcome | null;
}

async function collect(session: ExecSession): Promise<Collected> {
  const output: Record<'stdout' | 'stderr', Uint8Array[]> = { stdout: [], stderr: [] };
  let outcome: ExecOutcome | null = null;
  for await (const event of session) {
    if (event.type === 'outcome') outcome = event.outcome;
    else output[event.type].push(event.data);
  }
  const text = (chunks: Uint8Array[]) => Buffer.concat(chunks).toString();
  return { stdout: text(output.stdout), stderr: text(output.stderr), outcome };
}

/** Runs a sleeping command; returns its pid and its result. */
async function sleeping(): Promise<readonly [number, Promise<Collected>]> {
  const session = await sh('echo $$; exec sleep 1000');
  const iterator = session[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true || first.value.type !== 'stdout') throw new Error('the command said nothing');
  const pid = Number(Buffer.from(first.value.data).toString());
  const rest = { kill: () => undefined, [Symbol.asyncIterator]: () => iterator };
  return [pid, collect(rest)];
}

async function* repeated(chunk: Uint8Array, count: number) {
  for (let index = 0; index < count; index += 1) yield chunk;
}

describe('calls', () => {
  test('hello and identify', async () => {
    const hello = await client.waitReady(target, never);
    expect(hello).toMatchObject({ protocolVersion: 2, incarnation: null });
    await client.identify(target, { hostname: 'web-1', machineId: '0123456789abcdef'.repeat(2) }, never);
    expect((await client.waitReady(target, never)).incarnation).toBe('i1');
  });

  test('another incarnation gets no answer', async () => {
    await client.waitReady(target, never);
    await client.release('i1');
    const stop = new AbortController();
    const other = makeClient({ preambleMs: 20, preambleMaxMs: 20 });
    const ready = other.waitReady({ ...target, incarnation: 'i2' }, stop.signal);
    expect((await client.waitReady(target, never)).protocolVersion).toBe(2);
    stop.abort();
    await expect(ready).rejects.toMatchObject({ code: 'timeout' });
    await other.close();
  });
});

describe('exec', () => {
  test('exit code and both outputs', async () => {
    const result = await collect(await sh('echo out; echo err >&2; exit 3'));
    expect(result).toEqual({ stdout: 'out\n', stderr: 'err\n', outcome: { outcome: 'exited', exitCode: 3 } });
  });

  test('argv and environment reach the program unchanged', async () => {
    const result = await collect(await exec(['/usr/bin/printf', '%s|', 'a b', '$X', ';'], {}));
    expect(result.stdout).toBe('a b|$X|;|');
    expect((await collect(await sh('echo "$X"', { env: { X: 'a "b"' } }))).stdout).toBe('a "b"\n');
    expect((await collect(await sh('pwd', { cwd: '/usr' }))).stdout).toBe('/usr\n');
  });

  test('a missing program is 127 with the reason, a directory is refused or 126', async () => {
    const missing = await collect(await exec(['no-such-program']));
    expect(missing.outcome).toEqual({ outcome: 'exited', exitCode: 127 });
    expect(missing.stderr).toContain('no-such-program');
    expect((await collect(await exec(['/usr']))).outcome).toEqual({ outcome: 'exited', exitCode: 126 });
  });

  test.each([{ cwd: '/no/such/directory' }, { user: 'nobody-by-this-name' }])(
    '%o is invalid',
    async (request) => {
      await expect(exec(['true'], request)).rejects.toMatchObject({ code: 'invalid' });
    },
  );

  test('signals, time limits', async () => {
    const session = await exec(['sleep', '1000']);
    session.kill('TERM');
    expect((await collect(session)).outcome).toEqual({ outcome: 'signalled', signal: 'TERM' });
    const late = await collect(await sh('echo begun; sleep 1000', { timeoutMs: 200 }));
    expect(late).toMatchObject({ stdout: 'begun\n', outcome: { outcome: 'timed_out' } });
  });

  test('standard input, and its end', async () => {
    const stdin = repeated(Buffer.alloc(100_000, 'x'), 100);
    const { stdout, outcome } = await collect(await exec(['wc', '-c'], { stdin }));
    expect(stdout.trim()).toBe('10000000');
    expect(outcome).toEqual({ outcome: 'exited', exitCode: 0 });
  });

  test('a program that does not read its input', async () => {
    const stdin = repeated(Buffer.alloc(65_536), 1_000);
    expect((await collect(await exec(['true'], { stdin }))).outcome).toEqual({
      outcome: 'exited',
      exitCode: 0,
    });
  });

  test('a grandchild that keeps the output open does not delay the outcome', async () => {
    const { stdout, outcome } = await collect(await sh('sleep 30 & echo done'));
    expect(stdout).toBe('done\n');
    expect(outcome).toEqual({ outcome: 'exited', exitCode: 0 });
  });

  test('returning early kills the whole group', async () => {
    const pids: number[] = [];
    for await (const event of await sh('sleep 1000 & echo $$ $!; wait')) {
      if (event.type !== 'stdout') continue;
      pids.push(...Buffer.from(event.data).toString().trim().split(' ').map(Number));
      break;
    }
    expect(pids).toHaveLength(2);
    for (const pid of pids) await gone(pid);
  });

  test('aborting kills the command and ends it as unknown', async () => {
    const stop = new AbortController();
    const session = await client.exec(target, { argv: ['sleep', '1000'], timeoutMs: 30_000 }, stop.signal);
    stop.abort();
    expect((await collect(session)).outcome).toMatchObject({ outcome: 'unknown' });
  });

  test('50 MB arrive completely at a slow reader while others are served', async () => {
    const bytes = 50_000_000;
    let received = 0;
    let others = 0;
    let outcome: ExecOutcome | null = null;
    for await (const event of await sh(`head -c ${bytes} /dev/zero`)) {
      if (event.type === 'outcome') outcome = event.outcome;
      else received += event.data.length;
      if (others * 5_000_000 > received) continue;
      others += 1;
      expect((await collect(await exec(['true']))).outcome).toEqual({ outcome: 'exited', exitCode: 0 });
    }
    expect(received).toBe(bytes);
    expect(others).toBeGreaterThanOrEqual(10);
    expect(outcome).toEqual({ outcome: 'exited', exitCode: 0 });
  });

  test('twenty at once', async () => {
    const all = Array.from({ length: 20 }, async (_, index) => collect(await exec(['echo', String(index)])));
    expect((await Promise.all(all)).map(({ stdout }) => Number(stdout))).toEqual([...Array(20).keys()]);
  });
});

test('a copy becomes another machine, and its commands go on', async () => {
  const root = await mkdtemp(join(tmpdir(), 'f-root-'));
  const own = await programs.start('guest-agent', (path) => ['serve', '--socket', path, '--root', root]);
  const there = { ...target, address: { transport: 'virtio-serial', path: own.path } as const };
  const key = join(root, 'etc/ssh/ssh_host_ed25519_key');
  try {
    const data = parseUserData(`#cloud-config\nruncmd:\n- echo x >> ${root}/count\n`);
    expect(await client.provision(there, data, never)).toEqual({ outcome: 'succeeded' });
    await mkdir(join(root, 'etc/ssh'), { recursive: true });
    await writeFile(key, 'old');
    await client.commands.start(there, { id: 'c1', argv: ['cat'] }, never);
    await client.release('i1');

    const fork = { ...there, machineId: 'm2', incarnation: 'i2' };
    const adoption = { hostname: 'fork', machineId: '2'.repeat(32), mac: '02:66:0a:4d:00:09' };
    await client.rekey(fork, 'i1', never);
    for (let round = 0; round < 2; round += 1) expect(await client.adopt(fork, adoption, never)).toEqual([]);
    expect(await client.waitReady(fork, never)).toMatchObject({ incarnation: 'i2' });
    expect(await readFile(key, 'utf8')).toContain('OPENSSH PRIVATE KEY');
    expect(await readFile(`${key}.pub`, 'utf8')).toMatch(/^ssh-ed25519 \S+ root@fork\n$/);
    expect(await client.commands.list(fork, never)).toMatchObject([{ id: 'c1' }]);
    expect(await client.provision(fork, data, never)).toEqual({ outcome: 'succeeded' });
    expect(await readFile(join(root, 'count'), 'utf8')).toBe('x\n');
  } finally {
    await own.stop();
    await rm(root, { recursive: true });
  }
});

describe('user data', () => {
  test('is carried out once, and its outcome kept for the next daemon', async () => {
    const root = await mkdtemp(join(tmpdir(), 'f-root-'));
    const own = await programs.start('guest-agent', (path) => ['serve', '--socket', path, '--root', root]);
    const there = { ...target, address: { transport: 'virtio-serial', path: own.path } as const };
    try {
      const data = parseUserData(
        `#cloud-config\nwrite_files: [{path: /etc/x, content: hi, owner: "${process.getuid?.()}"}]\n` +
          `runcmd:\n- echo x >> ${root}/count\n- [sh, -c, "echo why >&2; exit 3"]\n`,
      );
      const failed = { outcome: 'failed', message: 'runcmd 2 of 2: exit code 3: why' };
      expect(await client.provision(there, data, never)).toEqual(failed);
      await client.close();
      client = makeClient();
      expect(await client.provision(there, data, never)).toEqual(failed);
      expect(await readFile(join(root, 'count'), 'utf8')).toBe('x\n');
      expect(await readFile(join(root, 'etc/x'), 'utf8')).toBe('hi');
      const copy = { ...there, machineId: 'm2' };
      expect(await client.provision(copy, userDataOf({}), never)).toEqual({ outcome: 'succeeded' });
    } finally {
      await own.stop();
      await rm(root, { recursive: true });
    }
  });

  test('waits in the guest when its caller leaves', async () => {
    const root = await mkdtemp(join(tmpdir(), 'f-root-'));
    const own = await programs.start('guest-agent', (path) => ['serve', '--socket', path, '--root', root]);
    const there = { ...target, address: { transport: 'virtio-serial', path: own.path } as const };
    try {
      const data = parseUserData(
        `#cloud-config\nruncmd: ["mkfifo ${root}/f; cat ${root}/f > ${root}/got"]\n`,
      );
      const leaving = new AbortController();
      const left = client.provision(there, data, leaving.signal);
      leaving.abort(new AppError('unavailable', 'the daemon ends'));
      await expect(left).rejects.toMatchObject({ code: 'unavailable' });
      const again = client.provision(there, data, never);
      await expect.poll(() => exists(join(root, 'f')), { timeout: 20_000 }).toBe(true);
      await writeFile(join(root, 'f'), 'word');
      expect(await again).toEqual({ outcome: 'succeeded' });
      expect(await readFile(join(root, 'got'), 'utf8')).toBe('word');
    } finally {
      await own.stop();
      await rm(root, { recursive: true });
    }
  });

  test('is refused by an agent without the feature', async () => {
    await expect(client.provision(target, userDataOf({}), never)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('carries out no user data'),
    });
  });
});

describe('the link', () => {
  test('reconnects after every abrupt end, also in the middle of output', async () => {
    for (let round = 0; round < 30; round += 1) {
      for await (const event of await exec(['yes'])) {
        if (event.type === 'stdout') break;
      }
      const cut = await exec(['yes']);
      const reading = collect(cut);
      await client.release('i1');
      expect((await reading).outcome).toMatchObject({ outcome: 'unknown' });
      expect((await collect(await exec(['echo', 'again']))).stdout).toBe('again\n');
    }
  });

  test('a stopped guest only delays its own callers, and recovers by itself', async () => {
    await client.close();
    client = makeClient({ pingIntervalMs: 20, pingDeadlineMs: 100, linkWaitMs: 100, callMs: 10_000 });
    await client.waitReady(target, never);
    const [pid, running] = await sleeping();
    agent.child.kill('SIGSTOP');
    expect((await running).outcome).toMatchObject({
      outcome: 'unknown',
      reason: expect.stringContaining('ping'),
    });
    await expect(exec(['true'])).rejects.toMatchObject({ code: 'timeout' });
    agent.child.kill('SIGCONT');
    await client.waitReady(target, never);
    expect((await collect(await exec(['echo', 'back']))).stdout).toBe('back\n');
    await gone(pid);
  });

  test('a dead guest’s commands end as unknown', async () => {
    const [pid, running] = await sleeping();
    agent.child.kill('SIGKILL');
    expect((await running).outcome).toMatchObject({ outcome: 'unknown' });
    process.kill(pid, 'SIGKILL');
  });
});

/** Resolves when a process that is not our child is gone; the test's time limit applies. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

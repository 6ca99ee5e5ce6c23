/**
 * Thousands of commands leave nothing behind: no process, descriptor, memory, cgroup or file, on the host and in
 * the guest. `FLOTILLA_LEAK_EXECS=5000 npx vitest run --project vm test/e2e/leaks.test.ts` runs as many in a row
 * as the guarantee says (docs/guarantees.md); the default is what fits into a minute.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { FlotillaError } from '../../sdk/src/index.ts';
import { startTestHost, type TestHost } from '../support/host.ts';

vi.setConfig({ testTimeout: 900_000, hookTimeout: 200_000 });

const inRow = Number(process.env.FLOTILLA_LEAK_EXECS ?? 250);
const atOnce = 200;
/** A guest runs this many at once; 200 requests wait for each other. */
const waiting = { timeout: 60_000, interval: 250 };
/** Of the daemon's heap after a collection: less than 1 KiB for each of 5,000 commands. */
const heapGrowthBytesMax = 4 * 2 ** 20;
/** Of the agent's resident memory, which collects garbage when it likes, and of what the guest's kernel holds. */
const guestGrowthKibMax = 12 * 1024;
/** Of the VMM: its guest's memory, which fills with caches, and its own. */
const vmmKibMax = (256 + 128) * 1024;

let host: TestHost;
beforeAll(async () => {
  host = await startTestHost();
  await host.client.machines.create({ name: 'web', vcpu_count: 1, mem_size_mib: 256, image: 'busybox' });
  await host.client.machines.start('web');
});
afterAll(() => host.close());

const output = (n: number) => `out ${n}\n`;
const command = (n: number) => ['sh', '-c', `echo out ${n}; echo err ${n} >&2; (true &); exit ${n % 7}`];

async function buffered(n: number): Promise<void> {
  const result = await host.client.machines.exec('web', { command: command(n), timeout: 60 });
  expect(result).toMatchObject({ exit_code: n % 7, stdout: output(n), stderr: `err ${n}\n` });
}
async function streamed(n: number): Promise<void> {
  let stdout = '';
  for await (const event of host.client.machines.execStream('web', { command: command(n), timeout: 60 })) {
    if (event.type === 'stdout') stdout += Buffer.from(event.data).toString();
    if (event.type === 'outcome') expect(event).toMatchObject({ outcome: 'exited', exit_code: n % 7 });
  }
  expect(stdout).toBe(output(n));
}
async function run(n: number): Promise<void> {
  await (n % 2 === 0 ? buffered(n) : streamed(n));
}
/** A guest runs a bounded number at once; a refused command did not start, so it is sent again. */
async function persistently(work: () => Promise<void>): Promise<void> {
  for (const deadline = AbortSignal.timeout(300_000); ; ) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof FlotillaError) || error.status !== 503) throw error;
      await delay(100, undefined, { signal: deadline });
    }
  }
}
async function runAtOnce(kind: typeof buffered): Promise<void> {
  await Promise.all(Array.from({ length: atOnce }, (_, n) => persistently(() => kind(n))));
}

/** Numbers of what must not grow by one. */
interface Counts {
  readonly descriptors: Readonly<Record<string, number>>;
  readonly children: number;
  readonly vmmDescriptors: number;
  readonly files: readonly string[];
  readonly guest: string;
}
/** What may grow a little. */
interface Sizes {
  readonly heapBytes: number;
  readonly agentKib: number;
  /** Memory of the guest that programs could have. */
  readonly availableKib: number;
  readonly vmmKib: number;
}

/** Both ends of the test's HTTP connections, which are kept for later requests. */
async function connectionInodes(): Promise<ReadonlySet<string>> {
  const port = Number(new URL(host.url).port).toString(16).toUpperCase().padStart(4, '0');
  const table = await readFile('/proc/net/tcp', 'utf8');
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  const isOurs = ([, local = '', remote = '']: string[]) =>
    [local, remote].some((address) => address.endsWith(`:${port}`));
  return new Set(rows.filter(isOurs).map((row) => `socket:[${row[9]}]`));
}

/** Kinds of open descriptors with their numbers, without those of the test's own HTTP connections. */
async function descriptorsOf(pid: number | 'self'): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const ours = await connectionInodes();
  for (const fd of await readdir(`/proc/${pid}/fd`)) {
    const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => null);
    if (target === null || target.startsWith('/proc/') || ours.has(target)) continue;
    const kind = target.replace(/:\[\d+\]$/, '');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}
function kibOf(name: string, text: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
}
async function guestText(script: string): Promise<string> {
  const ran = await host.client.machines.exec('web', { command: ['sh', '-c', script], timeout: 60 });
  expect(ran.exit_code).toBe(0);
  return ran.stdout;
}
async function vmmPid(): Promise<number> {
  return (await host.client.machines.get('web')).pid ?? -1;
}
/** Processes that are not the kernel's, the agent's descriptors, cgroups, mounts and temporary files. */
const guestScript = `
for p in /proc/[0-9]*; do [ -s $p/cmdline ] && grep -q . $p/cmdline && tr '\\0' ' ' < $p/cmdline && echo; done 2>/dev/null | grep -v "^sh -c\\|^tr \\|^grep " | sort
ls /proc/1/fd | wc -l
find /sys/fs/cgroup -type d | grep -v "^/sys/fs/cgroup/flotilla/[0-9]*$" | wc -l
find /sys/fs/cgroup/flotilla -mindepth 1 -type d | wc -l
wc -l < /proc/mounts
ls -A /tmp /run`;

async function count(): Promise<Counts> {
  const stateDir = host.config.stateDir;
  const guest = await guestText(guestScript);
  const { pid } = process;
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').length;
  const vmm = Object.values(await descriptorsOf(await vmmPid()));
  const [incarnation = ''] = await readdir(`${stateDir}/run`);
  return {
    descriptors: await descriptorsOf('self'),
    children,
    vmmDescriptors: vmm.reduce((sum, each) => sum + each, 0),
    files: [...(await readdir(stateDir)), ...(await readdir(`${stateDir}/run/${incarnation}`))].sort(),
    guest,
  };
}

async function measure(): Promise<Sizes> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let time = 0; time < 3; time++) {
    await turn();
    collect();
  }
  return {
    heapBytes: process.memoryUsage().heapUsed,
    agentKib: kibOf('VmRSS', await guestText('cat /proc/1/status')),
    availableKib: kibOf('MemAvailable', await guestText('cat /proc/meminfo')),
    vmmKib: kibOf('VmRSS', await readFile(`/proc/${await vmmPid()}/status`, 'utf8')),
  };
}

test(`${inRow} commands in a row and ${atOnce} at once leave nothing behind`, async () => {
  // Everything that is made once is made: pools, compiled code, the places of ended commands.
  for (let n = 0; n < 150; n++) await run(n);
  for (const kind of [buffered, streamed]) await runAtOnce(kind);
  let before = await count();
  // Idle connections of the client and its server close after some seconds.
  await vi.waitFor(async () => {
    const again = await count();
    const isSettled = JSON.stringify(again) === JSON.stringify(before);
    before = again;
    expect(isSettled).toBe(true);
  }, waiting);
  const sizes = await measure();

  for (let n = 0; n < inRow; n++) await run(n);
  for (const kind of [buffered, streamed]) await runAtOnce(kind);

  await vi.waitFor(async () => expect(await count()).toEqual(before), waiting);
  // The agent's garbage is collected when more is made; what is leaked stays.
  await vi.waitFor(async () => {
    for (let n = 0; n < 20; n++) await run(n);
    const grown = await measure();
    console.info({ inRow, atOnce, sizes, grown });
    expect(grown.heapBytes - sizes.heapBytes).toBeLessThan(heapGrowthBytesMax);
    expect(grown.agentKib - sizes.agentKib).toBeLessThan(guestGrowthKibMax);
    expect(sizes.availableKib - grown.availableKib).toBeLessThan(guestGrowthKibMax);
    expect(grown.vmmKib).toBeLessThan(vmmKibMax);
  }, waiting);
});

/**
 * `bench snapshot`, `bench fork` and `bench density`: what it takes to start from a snapshot instead of booting. Always timed to
 * the answer of the first command. Machines have 128 MiB.
 */
import { readFile } from 'node:fs/promises';
import { FlotillaClient } from '../sdk/src/index.ts';
import { AppError } from '../src/core/errors.ts';
import { sleep } from '../src/lib/abort.ts';
import { readProcessStat } from '../src/lib/procfs.ts';
import type { BenchContext } from './bench-context.ts';
import { interleave } from './interleave.ts';
import { type BenchReport, measured, ratio } from './report.ts';
import { median, timed } from './statistics.ts';
import { Workplace } from './workplace.ts';

const roundsDefault = 10;
const snapshotsDefault = 10;
const forksCount = 20;
const forkRoundsDefault = 3;
const denseCount = 40;
/** Forks have answered, and what their start has used is over. */
const settleMs = 5_000;
const idleMs = 10_000;

const hardware = { vcpu_count: 1, mem_size_mib: 128, disk_size_mib: 1024 } as const;
const first = { command: ['true'] };

async function open(context: BenchContext) {
  const workplace = await Workplace.open(context);
  const { host, port, key } = await workplace.startDaemon();
  return { workplace, client: new FlotillaClient({ url: `http://${host}:${port}`, key }) };
}

/** A machine that runs and has answered. */
async function boot({ machines }: FlotillaClient, name: string, image: string): Promise<void> {
  await machines.create({ ...hardware, name, image });
  await machines.start(name);
  await machines.exec(name, first);
}

export async function benchSnapshot(context: BenchContext): Promise<BenchReport> {
  const { workplace, client } = await open(context);
  await using _ = workplace;
  context.say('snapshot: starting a machine, which is not measured');
  await boot(client, 'origin', context.image);
  const source = { kind: 'snapshot' as const, snapshot: 'warm' };
  await client.snapshots.create('origin', { name: 'warm' });
  const remove = (name: string) => client.machines.delete(name, { force: true });
  const rounds = context.samples ?? roundsDefault;
  const [coldMs = [], restoredMs = []] = await interleave(
    [
      {
        name: 'cold',
        async measure() {
          const ms = await timed(() => boot(client, 'cold', context.image));
          await remove('cold');
          return ms;
        },
      },
      {
        name: 'restored',
        async measure() {
          const ms = await timed(async () => {
            await client.machines.create({ name: 'restored', source });
            await client.machines.start('restored');
            await client.machines.exec('restored', first);
          });
          await remove('restored');
          return ms;
        },
      },
    ],
    {
      rounds,
      warmUps: 1,
      signal: context.signal,
      onRound: (round, [cold, restored]) =>
        context.say(
          `snapshot ${round + 1}/${rounds}: cold ${cold?.toFixed(0)} ms, restored ${restored?.toFixed(0)} ms`,
        ),
    },
  );
  const pauses = await pausesOfSnapshots(context, client);
  return {
    bench: 'snapshot',
    results: [
      ratio('restored_over_cold', restoredMs, coldMs, median),
      measured('snapshot_pause_ms', 'ms', pauses, median),
      measured('cold_ms', 'ms', coldMs, median),
      measured('restored_ms', 'ms', restoredMs, median),
    ],
  };
}

/** A program in the guest prints all the time; the longest silence while a snapshot is taken is the pause, as callers see it. */
async function pausesOfSnapshots(context: BenchContext, client: FlotillaClient): Promise<readonly number[]> {
  const script = 'while :; do echo; usleep 2000; done';
  const command = await client.execs.start('origin', { command: ['sh', '-c', script] });
  const ended = new AbortController();
  const seen = { atMs: performance.now(), longestMs: 0 };
  const watching = (async () => {
    const output = client.execs.output('origin', command.id, { follow: true, signal: ended.signal });
    for await (const _ of output) {
      const nowMs = performance.now();
      seen.longestMs = Math.max(seen.longestMs, nowMs - seen.atMs);
      seen.atMs = nowMs;
    }
  })().catch((error: unknown) => {
    if (!ended.signal.aborted) throw error;
  });
  const pauses: number[] = [];
  for (let taken = 0; taken < (context.samples ?? snapshotsDefault); taken += 1) {
    await sleep(settleMs / 10, context.signal);
    seen.longestMs = 0;
    const { id } = await client.snapshots.create('origin');
    pauses.push(seen.longestMs);
    await client.snapshots.delete(id);
    context.say(`snapshot: paused for ${seen.longestMs.toFixed(0)} ms`);
  }
  ended.abort();
  await watching;
  return pauses;
}

export async function benchFork(context: BenchContext): Promise<BenchReport> {
  const { workplace, client } = await open(context);
  await using _ = workplace;
  context.say('fork: starting a machine, which is not measured');
  await boot(client, 'origin', context.image);
  const removeAll = async (names: readonly string[]) => {
    await Promise.all(names.map((name) => client.machines.delete(name, { force: true })));
  };
  const rounds = context.samples ?? forkRoundsDefault;
  const [coldMs = [], forkMs = []] = await interleave(
    [
      {
        name: 'cold',
        async measure() {
          const names = Array.from({ length: forksCount }, (_, index) => `cold-${index}`);
          const ms = await timed(async () => {
            await Promise.all(names.map((name) => boot(client, name, context.image)));
          });
          await removeAll(names);
          return ms;
        },
      },
      {
        name: 'forks',
        async measure() {
          let names: readonly string[] = [];
          const ms = await timed(async () => {
            names = await fork(client, forksCount);
            await Promise.all(names.map((name) => client.machines.exec(name, first)));
          });
          await removeAll(names);
          return ms;
        },
      },
    ],
    {
      rounds,
      warmUps: 0,
      signal: context.signal,
      onRound: (round, [cold, forks]) =>
        context.say(
          `fork ${round + 1}/${rounds}: ${forksCount} cold ${cold?.toFixed(0)} ms, forks ${forks?.toFixed(0)} ms`,
        ),
    },
  );
  return {
    bench: 'fork',
    results: [
      ratio(`fork${forksCount}_over_cold`, forkMs, coldMs, median),
      measured(`cold${forksCount}_ms`, 'ms', coldMs, median),
      measured(`fork${forksCount}_ms`, 'ms', forkMs, median),
    ],
  };
}

/** Resolves with their names; raises `internal` when one has failed. */
async function fork({ machines }: FlotillaClient, count: number): Promise<readonly string[]> {
  const { machines: made } = await machines.fork('origin', { count, name: 'fork' });
  const failed = made.find(({ error }) => error !== null);
  if (failed) throw new AppError('internal', `${failed.name} was not made: ${failed.error?.message}`);
  return made.map(({ name }) => name);
}

export async function benchDensity(context: BenchContext): Promise<BenchReport> {
  const { workplace, client } = await open(context);
  await using _ = workplace;
  context.say('density: starting a machine and its forks');
  await boot(client, 'origin', context.image);
  const names = await fork(client, denseCount);
  await Promise.all(names.map((name) => client.machines.exec(name, first)));
  await sleep(settleMs, context.signal);
  const pids: number[] = [];
  for (const name of names) pids.push((await client.machines.get(name)).pid ?? 0);
  const before = pids.map(processorMsOf);
  const sinceMs = performance.now();
  await sleep(idleMs, context.signal);
  const elapsedMs = performance.now() - sinceMs;
  const percents = pids.map((pid, index) => (100 * (processorMsOf(pid) - (before[index] ?? 0))) / elapsedMs);
  const memory: number[] = [];
  for (const pid of pids) memory.push(await proportionalMib(pid));
  return {
    bench: 'density',
    results: [
      measured('fork_pss_mib', 'MiB', memory, median),
      measured('fork_idle_cpu_percent', 'percent', percents, mean),
    ],
  };
}

function mean(samples: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
}

function processorMsOf(pid: number): number {
  const stat = readProcessStat(pid);
  if (stat === null) throw new AppError('internal', `process ${pid} has ended`);
  return stat.processorTimeMs;
}

/** What a process has alone, and its part of what it shares, in MiB. */
async function proportionalMib(pid: number): Promise<number> {
  const kib = /^Pss:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1];
  if (kib === undefined) throw new AppError('internal', `process ${pid} has no proportional size in /proc`);
  return Number(kib) / 1024;
}

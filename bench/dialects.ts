/**
 * `bench dialects`: what another system's dialect adds to a call of our own API, for the same machine. Each ratio is the
 * dialect's time over the native one: 1.1 means 10 % slower.
 */
import type { BenchContext } from './bench-context.ts';
import { encodeRequest, HttpConnection } from './http-connection.ts';
import { interleave, type Subject } from './interleave.ts';
import { Load } from './load.ts';
import { MachineCalls } from './machine-calls.ts';
import { recordMachines } from './recorded-machines.ts';
import { type BenchReport, type BenchResult, measured, ratio } from './report.ts';
import { median, timed } from './statistics.ts';
import { type BenchDaemon, Workplace } from './workplace.ts';

const roundsDefault = 20;
const warmUpRounds = 3;
/** One page of every list. */
const recordedMachines = 20;
const burstMs = 300;
/** One command at a time, and their median: another program's burst then hits few of them, and no dialect more than others. */
const execsPerRound = 10;

const reads = {
  get: {
    native: (id: string) => `/machines/${id}`,
    hatch: (id: string) => `/vms/vm_${id}`,
    hypermachine: (id: string) => `/api/v1/vms/vm-${id}`,
    ttstack: (id: string) => `/api/vms/${id}`,
  },
  list: {
    native: () => `/machines?limit=${recordedMachines}`,
    hatch: () => '/vms',
    hypermachine: () => `/api/v1/vms?limit=${recordedMachines}`,
  },
} as const;

/** TTstack has no commands. */
const execs = {
  native: (id: string) => [`/machines/${id}/exec`, { command: ['sh', '-c', 'true'] }] as const,
  hatch: (id: string) => [`/vms/vm_${id}/exec`, { command: 'true' }] as const,
  hypermachine: (id: string) => [`/api/v1/vms/vm-${id}/script`, { language: 'sh', code: 'true' }] as const,
} as const;

export async function benchDialects(context: BenchContext): Promise<BenchReport> {
  await using workplace = await Workplace.open(context);
  let ids: readonly string[] = [];
  const daemon = await workplace.startDaemon({
    prepare: async (layout) => {
      ids = await recordMachines(layout, recordedMachines);
    },
  });
  const results: BenchResult[] = [];
  for (const [call, paths] of Object.entries(reads)) {
    results.push(...(await compareReads(context, workplace, daemon, call, paths, ids)));
  }
  return { bench: 'dialects', results: [...results, ...(await compareExecs(context, workplace, daemon))] };
}

async function compareReads(
  context: BenchContext,
  workplace: Workplace,
  daemon: BenchDaemon,
  call: string,
  paths: Readonly<Record<string, (id: string) => string>>,
  ids: readonly string[],
): Promise<readonly BenchResult[]> {
  const { key } = daemon;
  const names = Object.keys(paths);
  const subjects: Subject[] = [];
  for (const [name, pathOf] of Object.entries(paths)) {
    const requests = ids.map((id) => encodeRequest('GET', pathOf(id), daemon, { key }));
    subjects.push(await reading(name, workplace, daemon, requests));
  }
  return compare(context, call, names, subjects);
}

/** Measures the mean time of a request under load, in ms. */
async function reading(
  name: string,
  workplace: Workplace,
  daemon: BenchDaemon,
  requests: readonly Buffer[],
): Promise<Subject> {
  const load = await Load.open(daemon);
  workplace.defer(async () => load[Symbol.dispose]());
  let count = 0;
  const next = () => requests[count++ % requests.length] ?? Buffer.alloc(0);
  return { name, measure: async (signal) => 1000 / (await load.burst(next, burstMs, signal)) };
}

async function compareExecs(
  context: BenchContext,
  workplace: Workplace,
  daemon: BenchDaemon,
): Promise<readonly BenchResult[]> {
  context.say('dialects: starting a machine');
  using calls = await MachineCalls.open(daemon);
  const { id } = await calls.start('dialects', context.image);
  const connection = await HttpConnection.open(daemon);
  workplace.defer(async () => connection[Symbol.dispose]());
  const subjects = Object.entries(execs).map(([name, callOf]): Subject => {
    const [path, body] = callOf(id);
    const request = encodeRequest('POST', path, daemon, { key: daemon.key, body });
    return { name, measure: () => timed(async () => void (await connection.expect(200, request))) };
  });
  const rounds = (context.samples ?? roundsDefault) * execsPerRound;
  return compare({ ...context, samples: rounds }, 'exec', Object.keys(execs), subjects);
}

async function compare(
  context: BenchContext,
  call: string,
  names: readonly string[],
  subjects: readonly Subject[],
): Promise<readonly BenchResult[]> {
  const rounds = context.samples ?? roundsDefault;
  const [nativeMs = [], ...otherMs] = await interleave(subjects, {
    rounds,
    warmUps: Math.min(warmUpRounds, rounds),
    signal: context.signal,
    onRound: (round, times) =>
      context.say(
        `${call} ${round + 1}/${rounds}: ${times.map((ms) => ms.toFixed(3)).join(' · ')} ms (${names.join(' · ')})`,
      ),
  });
  const others = names.slice(1);
  return [
    ...others.map((name, index) =>
      ratio(`${name}_${call}_over_native`, otherMs[index] ?? [], nativeMs, median),
    ),
    measured(`native_${call}_ms`, 'ms', nativeMs, median),
  ];
}

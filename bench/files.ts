/**
 * `bench files`: the rate of one large file over HTTP, compared with the same bytes over the guest link alone, each in
 * its own guest; and what the daemon holds for a client that stops reading.
 */
import { readFile } from 'node:fs/promises';
import { AppError } from '../src/core/errors.ts';
import { sleep } from '../src/lib/abort.ts';
import type { BenchContext } from './bench-context.ts';
import { FileCalls } from './file-calls.ts';
import { interleave } from './interleave.ts';
import { MachineCalls, type StartedMachine } from './machine-calls.ts';
import { RawMachine, readBlueprint } from './raw-machine.ts';
import { type BenchReport, type BenchResult, measured, ratio } from './report.ts';
import { median, timed } from './statistics.ts';
import { type BenchDaemon, Workplace } from './workplace.ts';

const mib = 2 ** 20;
const fileBytes = 64 * mib;
const roundsDefault = 20;
const warmUpRounds = 1;
const path = '/root/bench';

/** A paused transfer counts as still when the daemon reads less than `stillBytes` between two looks. */
const lookIntervalMs = 500;
const stillBytes = 64 * 1024;
const looksMax = 120;
const pausedRounds = 5;

export async function benchFiles(context: BenchContext): Promise<BenchReport> {
  await using workplace = await Workplace.open(context);
  const daemon = await workplace.startDaemon();
  context.say('files: starting two guests');
  const machine = await startMachine(daemon, context.image);
  const blueprint = await readBlueprint(daemon, machine);
  const raw = await RawMachine.start(blueprint, await workplace.directory('raw'), context.signal);
  workplace.defer(() => raw.close());

  const content = Buffer.alloc(fileBytes, 'flotilla');
  const http = new FileCalls(daemon, machine.id, path);
  const rates = await compareLink(context, http, raw, content);
  return { bench: 'files', results: [...rates, await pausedReader(context, daemon, http)] };
}

async function compareLink(
  context: BenchContext,
  http: FileCalls,
  raw: RawMachine,
  content: Buffer,
): Promise<readonly BenchResult[]> {
  const rounds = context.samples ?? roundsDefault;
  // Some rounds begin with a download.
  await http.upload(content, context.signal);
  await raw.writeFile(path, content, context.signal);
  const [upMs = [], linkUpMs = [], downMs = [], linkDownMs = []] = await interleave(
    [
      { name: 'upload', measure: (signal) => timed(() => http.upload(content, signal)) },
      { name: 'link upload', measure: (signal) => timed(() => raw.writeFile(path, content, signal)) },
      { name: 'download', measure: (signal) => timed(() => http.download(fileBytes, signal)) },
      { name: 'link download', measure: (signal) => timed(() => raw.readFile(path, fileBytes, signal)) },
    ],
    {
      rounds,
      warmUps: warmUpRounds,
      signal: context.signal,
      onRound: (round) => context.say(`files ${round + 1}/${rounds}`),
    },
  );
  const rate = (ms: readonly number[]) => ms.map((each) => fileBytes / mib / (each / 1000));
  return [
    ratio('upload_over_link', rate(upMs), rate(linkUpMs), median),
    ratio('download_over_link', rate(downMs), rate(linkDownMs), median),
    measured('upload_rate', 'MiB/s', rate(upMs), median),
    measured('download_rate', 'MiB/s', rate(downMs), median),
    measured('link_upload_rate', 'MiB/s', rate(linkUpMs), median),
    measured('link_download_rate', 'MiB/s', rate(linkDownMs), median),
  ];
}

/**
 * What the daemon has read from the guest and not written to the client. The kernel's count of bytes that the process
 * has read and written includes whatever else it does meanwhile, so the daemon has nothing else to do.
 */
async function pausedReader(
  context: BenchContext,
  daemon: BenchDaemon,
  http: FileCalls,
): Promise<BenchResult> {
  const samples: number[] = [];
  for (let round = 1; round <= pausedRounds; round += 1) {
    context.say(`files: a client that stops reading, ${round}/${pausedRounds}`);
    const before = await ioOf(daemon.pid);
    using _ = await http.openPaused(context.signal);
    const still = await stillIo(daemon.pid, context.signal);
    samples.push((still.read - before.read - (still.written - before.written)) / mib);
  }
  return measured('paused_reader_queued_mib', 'MiB', samples, median);
}

interface Io {
  readonly read: number;
  readonly written: number;
}

async function stillIo(pid: number, signal: AbortSignal): Promise<Io> {
  let last = await ioOf(pid);
  for (let looks = 0; looks < looksMax; looks += 1) {
    await sleep(lookIntervalMs, signal);
    const now = await ioOf(pid);
    if (now.read - last.read < stillBytes) return now;
    last = now;
  }
  throw new AppError('timeout', 'the daemon goes on reading for a client that has stopped');
}

async function ioOf(pid: number): Promise<Io> {
  const text = await readFile(`/proc/${pid}/io`, 'utf8');
  const count = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]);
  const io = { read: count('rchar'), written: count('wchar') };
  if (Number.isNaN(io.read + io.written))
    throw new AppError('internal', `process ${pid} has no count of bytes in /proc`);
  return io;
}

/** Uses a new connection: the server closes idle ones, and booting the other guest takes longer than that. */
async function startMachine(daemon: BenchDaemon, image: string): Promise<StartedMachine> {
  using calls = await MachineCalls.open(daemon);
  return await calls.start('files', image);
}

/**
 * `bench exec`: time of one command over HTTP, compared with the same command over the guest link alone, each
 * in its own guest. On images that have them, also compared with qemu-guest-agent and ssh.
 */
import type { BenchContext } from './bench-context.ts';
import { interleave } from './interleave.ts';
import { MachineCalls, type StartedMachine } from './machine-calls.ts';
import { comparePeers } from './peers/compare.ts';
import { RawMachine, readBlueprint } from './raw-machine.ts';
import { type BenchReport, type BenchResult, measured, ratio } from './report.ts';
import { median, percentile, timed } from './statistics.ts';
import { compareStreams } from './streams.ts';
import { type BenchDaemon, Workplace } from './workplace.ts';

const roundsDefault = 1000;
const warmUpRounds = 100;
const roundsBetweenWords = 100;
const p99 = (samples: readonly number[]) => percentile(samples, 99);

export async function benchExec(context: BenchContext): Promise<BenchReport> {
  await using workplace = await Workplace.open(context);
  const daemon = await workplace.startDaemon();
  context.say('exec: starting two machines');
  const machine = await startMachine(daemon, context.image);
  const blueprint = await readBlueprint(daemon, machine);
  const raw = await RawMachine.start(blueprint, await workplace.directory('raw'), context.signal);
  workplace.defer(() => raw.close());

  const overLink = await compareLink(context, daemon, machine, raw);
  const streams = await compareStreams(context, daemon, machine);
  const overPeers = context.isQuick ? [] : await comparePeers(context, workplace, daemon);
  return { bench: 'exec', results: [...overLink, ...streams, ...overPeers] };
}

async function compareLink(
  context: BenchContext,
  daemon: BenchDaemon,
  machine: StartedMachine,
  raw: RawMachine,
): Promise<readonly BenchResult[]> {
  using calls = await MachineCalls.open(daemon);
  const request = calls.execRequest(machine.id);
  const rounds = context.samples ?? roundsDefault;
  const [httpMs = [], linkMs = []] = await interleave(
    [
      { name: 'http', measure: () => timed(() => calls.exec(request)) },
      { name: 'link', measure: (signal) => timed(() => raw.exec(signal)) },
    ],
    {
      rounds,
      warmUps: Math.min(warmUpRounds, rounds),
      signal: context.signal,
      onRound: (round) => {
        if ((round + 1) % roundsBetweenWords === 0) context.say(`exec ${round + 1}/${rounds}`);
      },
    },
  );
  return [
    ratio('exec_p50_over_link', httpMs, linkMs, median),
    ratio('exec_p99_over_link', httpMs, linkMs, p99),
    measured('exec_p50_ms', 'ms', httpMs, median),
    measured('exec_p99_ms', 'ms', httpMs, p99),
    measured('link_p50_ms', 'ms', linkMs, median),
    measured('link_p99_ms', 'ms', linkMs, p99),
  ];
}

/** Uses a new connection: the server closes idle ones, and booting the other guest takes longer than that. */
async function startMachine(daemon: BenchDaemon, image: string): Promise<StartedMachine> {
  using calls = await MachineCalls.open(daemon);
  return await calls.start('exec', image);
}

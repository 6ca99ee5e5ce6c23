/**
 * `bench boot`: time from create to the first finished command, compared with the same VM without a daemon.
 */
import type { BenchContext } from './bench-context.ts';
import { interleave, type Subject } from './interleave.ts';
import { MachineCalls } from './machine-calls.ts';
import { type Blueprint, RawMachine, readBlueprint } from './raw-machine.ts';
import { type BenchReport, measured, ratio } from './report.ts';
import { median } from './statistics.ts';
import { type BenchDaemon, Workplace } from './workplace.ts';

const roundsDefault = 15;

/** With a tap on a bridge, where the host can have one, and without an interface. */
const networks = { '': {}, _no_tap: { mode: 'none' } } as const;

export async function benchBoot(context: BenchContext): Promise<BenchReport> {
  await using workplace = await Workplace.open(context);
  const daemon = await workplace.startDaemon({ hasBridge: true });
  const subjects: Subject[] = [];
  for (const [suffix, network] of Object.entries(networks)) {
    context.say('boot: starting a machine, which is not measured');
    const blueprint = await firstBlueprint(daemon, context.image, network);
    const directory = await workplace.directory(`raw${suffix}`);
    subjects.push({ name: `cold${suffix}`, measure: () => coldStart(daemon, context.image, network) });
    subjects.push({ name: `floor${suffix}`, measure: (signal) => floor(blueprint, directory, signal) });
  }
  const rounds = context.samples ?? roundsDefault;
  const samples = await interleave(subjects, {
    rounds,
    warmUps: 1,
    signal: context.signal,
    onRound: (round, taken) =>
      context.say(
        `boot ${round + 1}/${rounds}: ${subjects.map(({ name }, at) => `${name} ${taken[at]?.toFixed(0)} ms`).join(', ')}`,
      ),
  });
  const [coldMs = [], floorMs = [], coldNoTapMs = [], floorNoTapMs = []] = samples;
  return {
    bench: 'boot',
    results: [
      ratio('cold_over_floor', coldMs, floorMs, median),
      ratio('cold_over_floor_no_tap', coldNoTapMs, floorNoTapMs, median),
      ...subjects.map(({ name }, at) => measured(`${name}_ms`, 'ms', samples[at] ?? [], median)),
    ],
  };
}

/** Milliseconds that create, start and the first command take over HTTP. The machine is removed. */
export async function coldStart(daemon: BenchDaemon, image: string, network: object): Promise<number> {
  // A new connection each time: the server closes idle ones, and booting the baseline VM takes longer than that.
  using calls = await MachineCalls.open(daemon);
  const begun = performance.now();
  const machine = await calls.start('cold', image, { network });
  await calls.exec(calls.execRequest(machine.id));
  const ms = performance.now() - begun;
  await calls.remove(machine);
  return ms;
}

async function floor(blueprint: Blueprint, directory: string, signal: AbortSignal): Promise<number> {
  const begun = performance.now();
  const machine = await RawMachine.start(blueprint, directory, signal);
  try {
    await machine.exec(signal);
    return performance.now() - begun;
  } finally {
    await machine.close();
  }
}

/** Starts a machine to read its process's command line, then reuses it for the baseline. */
async function firstBlueprint(daemon: BenchDaemon, image: string, network: object): Promise<Blueprint> {
  using calls = await MachineCalls.open(daemon);
  const machine = await calls.start('blueprint', image, { network });
  const blueprint = await readBlueprint(daemon, machine);
  await calls.remove(machine);
  return blueprint;
}

/**
 * `bench boot`: time from create to the first finished command, compared with the same VM without a daemon.
 */
import type { BenchContext } from './bench-context.ts';
import { interleave } from './interleave.ts';
import { MachineCalls } from './machine-calls.ts';
import { type Blueprint, RawMachine, readBlueprint } from './raw-machine.ts';
import { type BenchReport, measured, ratio } from './report.ts';
import { median } from './statistics.ts';
import { type BenchDaemon, Workplace } from './workplace.ts';

const roundsDefault = 15;

export async function benchBoot(context: BenchContext): Promise<BenchReport> {
  await using workplace = await Workplace.open(context);
  const daemon = await workplace.startDaemon();
  context.say('boot: the first machine');
  const blueprint = await firstBlueprint(daemon, context.image);
  const directory = await workplace.directory('raw');

  let count = 0;
  const cold = async () => {
    count += 1;
    // A new connection each time: the server closes idle ones, and booting the baseline VM takes longer than
    // that.
    using calls = await MachineCalls.open(daemon);
    const begun = performance.now();
    const machine = await calls.start(`cold-${count}`, context.image);
    await calls.exec(calls.execRequest(machine.id));
    const ms = performance.now() - begun;
    await calls.remove(machine);
    return ms;
  };
  const floor = async (signal: AbortSignal) => {
    const begun = performance.now();
    const machine = await RawMachine.start(blueprint, directory, signal);
    try {
      await machine.exec(signal);
      return performance.now() - begun;
    } finally {
      await machine.close();
    }
  };

  const rounds = context.samples ?? roundsDefault;
  const [coldMs = [], floorMs = []] = await interleave(
    [
      { name: 'cold', measure: cold },
      { name: 'floor', measure: floor },
    ],
    {
      rounds,
      warmUps: 1,
      signal: context.signal,
      onRound: (round, [coldOne = 0, floorOne = 0]) =>
        context.say(`boot ${round + 1}/${rounds}: ${coldOne.toFixed(0)} ms, floor ${floorOne.toFixed(0)} ms`),
    },
  );
  return {
    bench: 'boot',
    results: [
      ratio('cold_over_floor', coldMs, floorMs, median),
      measured('cold_ms', 'ms', coldMs, median),
      measured('floor_ms', 'ms', floorMs, median),
    ],
  };
}

/** Starts a machine to read its process's command line, then reuses it for the baseline. */
async function firstBlueprint(daemon: BenchDaemon, image: string): Promise<Blueprint> {
  using calls = await MachineCalls.open(daemon);
  const machine = await calls.start('blueprint', image);
  const blueprint = await readBlueprint(daemon.layout, machine);
  await calls.remove(machine);
  return blueprint;
}

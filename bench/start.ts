/**
 * `bench start`: time from create to the first finished command, for each way in which a machine can start on this
 * host. Every way is a subject of one run, so their ratios hold whatever else the host does.
 */
import { AppError } from '../src/core/errors.ts';
import { readConfig } from '../src/main/config.ts';
import { type Kernel, listKernels, namedKernel } from '../src/setup/kernel/kernels.ts';
import { CacheLayout } from '../src/storage/layout.ts';
import type { BenchContext } from './bench-context.ts';
import { coldStart } from './boot.ts';
import { interleave, type Subject } from './interleave.ts';
import { cacheWithKernel } from './kernel-cache.ts';
import { type BenchReport, measured, ratio } from './report.ts';
import { median } from './statistics.ts';
import { Workplace } from './workplace.ts';

const roundsDefault = 15;

/** Ratios of the report: how long one subject takes, over another. */
const ratios = [{ name: 'built_over_debian', over: 'built', under: 'debian' }] as const;

export async function benchStart(context: BenchContext): Promise<BenchReport> {
  await using workplace = await Workplace.open(context);
  const subjects = await coldStarts(context, workplace);
  const samples = await interleave(subjects, {
    rounds: context.samples ?? roundsDefault,
    warmUps: 1,
    signal: context.signal,
    onRound: (round, taken) =>
      context.say(
        `start ${round + 1}: ${subjects.map(({ name }, at) => `${name} ${taken[at]?.toFixed(0)} ms`).join(', ')}`,
      ),
  });
  const of = (name: string) => samples[subjects.findIndex((subject) => subject.name === name)] ?? [];
  return {
    bench: 'start',
    results: [
      ...ratios.map(({ name, over, under }) => ratio(name, of(over), of(under), median)),
      ...subjects.map(({ name }) => measured(`${name}_ms`, 'ms', of(name), median)),
    ],
  };
}

/** Booting with each kernel, by a daemon of its own. */
async function coldStarts(context: BenchContext, workplace: Workplace): Promise<readonly Subject[]> {
  const cache = new CacheLayout(readConfig(context.env).cacheDir);
  const subjects: Subject[] = [];
  for (const [name, kernel] of Object.entries(await kernelsOf(cache))) {
    const directory = await workplace.directory(`cache-${name}`);
    const daemon = await workplace.startDaemon({
      cacheDir: await cacheWithKernel(cache, kernel, directory),
    });
    context.say(`start: ${name} is ${kernel.release}`);
    subjects.push({ name, measure: () => coldStart(daemon, context.image, { mode: 'none' }) });
  }
  return subjects;
}

async function kernelsOf(cache: CacheLayout): Promise<Readonly<Record<'built' | 'debian', Kernel>>> {
  const built = await namedKernel(cache, 'built');
  const debian = (await listKernels(cache)).find(({ kind }) => kind !== 'built');
  if (debian) return { built, debian };
  throw new AppError('not_found', 'the cache has no kernel of the distribution to compare with', {
    hint: 'Run ./flotilla setup --refresh first.',
  });
}

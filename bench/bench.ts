/**
 * `flotilla bench`: measures Flotilla's speed as ratios against a baseline. Each bench starts its own daemons
 * on temporary state directories, measures the subjects in turn, keeps every sample, and removes everything
 * at the end, also on Ctrl-C.
 */
import { setMaxListeners } from 'node:events';
import { benchApi } from './api.ts';
import type { BenchContext } from './bench-context.ts';
import { benchBoot } from './boot.ts';
import { benchDialects } from './dialects.ts';
import { benchExec } from './exec.ts';
import { benchFiles } from './files.ts';
import { benchHostile } from './hostile.ts';
import { benchNet } from './net.ts';
import { benchProxy } from './proxy/index.ts';
import { benchQuota } from './quota.ts';
import { type BenchReport, formatReport } from './report.ts';
import { benchDensity, benchFork, benchSnapshot } from './snapshots.ts';
import { benchStart } from './start.ts';

export interface BenchOptions {
  readonly isJson: boolean;
  readonly isQuick: boolean;
  readonly samples: number | null;
  readonly image: string;
}

const benches = {
  boot: benchBoot,
  start: benchStart,
  exec: benchExec,
  files: benchFiles,
  api: benchApi,
  dialects: benchDialects,
  hostile: benchHostile,
  net: benchNet,
  proxy: benchProxy,
  quota: benchQuota,
  snapshot: benchSnapshot,
  fork: benchFork,
  density: benchDensity,
} satisfies Readonly<Record<string, (context: BenchContext) => Promise<BenchReport>>>;

export type BenchName = keyof typeof benches;
/** The command line has a list of its own, which a test compares with this one. */
export const benchNames = Object.keys(benches);

/** Prints the report on standard output and progress on standard error. Resolves with the exit code. */
export async function bench(name: BenchName, env: NodeJS.ProcessEnv, options: BenchOptions): Promise<number> {
  const controller = new AbortController();
  // Each connection under load and each wait adds a listener; Node would warn about a leak.
  setMaxListeners(0, controller.signal);
  let caught: NodeJS.Signals | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    if (caught === null) process.stderr.write('Interrupted; removing the files and processes of the bench\n');
    caught = signal;
    controller.abort(new Error(`interrupted by ${signal}`));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  try {
    const report = await benches[name]({
      env,
      samples: options.samples,
      isQuick: options.isQuick,
      image: options.image,
      signal: controller.signal,
      say: (line) => process.stderr.write(`${line}\n`),
    });
    process.stdout.write(options.isJson ? `${JSON.stringify(report)}\n` : formatReport(report));
    return 0;
  } catch (error) {
    if (caught === null) throw error;
    return caught === 'SIGINT' ? 130 : 143;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

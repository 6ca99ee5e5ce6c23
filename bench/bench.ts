/**
 * `flotilla bench`: claims of speed as ratios, measured from outside. Each bench starts daemons of its own on temporary
 * state directories, measures what is compared in turn, keeps every sample, and removes everything, also on Ctrl-C.
 */
import { setMaxListeners } from 'node:events';
import { benchApi } from './api.ts';
import type { BenchContext } from './bench-context.ts';
import { benchBoot } from './boot.ts';
import { benchExec } from './exec.ts';
import { benchHostile } from './hostile.ts';
import { type BenchReport, formatReport } from './report.ts';

export const benchNames = ['boot', 'exec', 'api', 'hostile'] as const;
export type BenchName = (typeof benchNames)[number];

export interface BenchOptions {
  readonly isJson: boolean;
  readonly isQuick: boolean;
  readonly samples: number | null;
  readonly image: string;
}

const benches: Readonly<Record<BenchName, (context: BenchContext) => Promise<BenchReport>>> = {
  boot: benchBoot,
  exec: benchExec,
  api: benchApi,
  hostile: benchHostile,
};

/** Prints the report on standard output, progress on standard error; resolves with the program's exit code. */
export async function bench(name: BenchName, env: NodeJS.ProcessEnv, options: BenchOptions): Promise<number> {
  const controller = new AbortController();
  // Each connection under load and each wait listens.
  setMaxListeners(0, controller.signal);
  let caught: NodeJS.Signals | null = null;
  const onSignal = (signal: NodeJS.Signals) => {
    if (caught === null) process.stderr.write('interrupted; removing what the bench has made\n');
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

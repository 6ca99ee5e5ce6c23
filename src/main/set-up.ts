/** `flotilla setup`: src/setup with this process's configuration and Ctrl-C. */
import { AppError } from '../core/errors.ts';
import { createProgress } from '../setup/progress.ts';
import { type BuiltInImage, builtInImages, type SetupOptions, setup } from '../setup/setup.ts';
import { CacheLayout, StateLayout } from '../storage/layout.ts';
import type { Config } from './config.ts';

export async function setUp(
  config: Config,
  env: NodeJS.ProcessEnv,
  { names, isRefresh }: { readonly names: readonly string[]; readonly isRefresh: boolean },
): Promise<void> {
  await setup({ ...setupOptions(config, env), images: names.map(checked), isRefresh });
}

/** Ctrl-C ends the programs that set-up runs; what was whole stays. */
export function setupOptions(config: Config, env: NodeJS.ProcessEnv): Omit<SetupOptions, 'images'> {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () =>
      controller.abort(
        new AppError('unavailable', 'set-up was interrupted', {
          hint: 'Run it again; it goes on where it was.',
        }),
      ),
    );
  }
  return {
    cache: new CacheLayout(config.cacheDir),
    state: new StateLayout(config.stateDir),
    progress: createProgress(process.stderr),
    signal: controller.signal,
    env,
  };
}

function checked(name: string): BuiltInImage {
  const image = builtInImages.find((each) => each === name);
  if (image) return image;
  throw new AppError('invalid', `no built-in image '${name}'`, {
    hint: `There are: ${builtInImages.join(', ')}.`,
  });
}

/** `flotilla setup`: runs src/setup with this process's configuration; Ctrl-C cancels it. */
import { join } from 'node:path';
import { AppError } from '../core/errors.ts';
import { sourceRootDefault } from '../setup/context.ts';
import { createProgress } from '../setup/progress.ts';
import { type BuiltInImage, builtInImages, type SetupOptions, setup } from '../setup/setup.ts';
import { installService } from '../setup/systemd.ts';
import { CacheLayout, StateLayout } from '../storage/layout.ts';
import type { Config } from './config.ts';
import { alreadyRunningExitCode } from './daemon-lock.ts';

export async function setUp(
  config: Config,
  env: NodeJS.ProcessEnv,
  { names, isRefresh, isService }: SetUpChoices,
): Promise<void> {
  await setup({ ...setupOptions(config, env), images: names.map(checked), isRefresh });
  if (!isService) return void process.stdout.write('next      ./flotilla up\n');
  const launcher = join(sourceRootDefault, 'flotilla');
  const { unitPath, settingsPath, isLoaded } = await installService({
    launcher,
    alreadyRunningExitCode,
    env,
  });
  const lines = [
    `service   ${unitPath}`,
    `settings  ${settingsPath}`,
    `next      ${isLoaded ? '' : 'once systemd runs: systemctl daemon-reload && '}systemctl enable --now flotilla`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

export interface SetUpChoices {
  /** Images to make. */
  readonly names: readonly string[];
  readonly isRefresh: boolean;
  /** Also installs the systemd service. */
  readonly isService: boolean;
}

/** Ctrl-C ends the programs that set-up runs; completed results stay. */
export function setupOptions(config: Config, env: NodeJS.ProcessEnv): Omit<SetupOptions, 'images'> {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () =>
      controller.abort(
        new AppError('unavailable', 'set-up was interrupted', {
          hint: 'Run it again; it continues where it stopped.',
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
    hint: `Choose from: ${builtInImages.join(', ')}.`,
  });
}

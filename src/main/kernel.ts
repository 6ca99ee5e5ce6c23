/** `flotilla kernel`: the kernels that guests boot. Acts on the cache; daemons take its boot kit when they start. */
import { join } from 'node:path';
import { buildGuestKernel, removeGuestKernel, useKernel } from '../setup/guest-kernels.ts';
import { findKernel, type Kernel, listKernels } from '../setup/kernel/kernels.ts';
import { CacheLayout } from '../storage/layout.ts';
import type { Config } from './config.ts';
import { setupOptions } from './set-up.ts';

type Print = (line: string) => void;

/** Builds one, and says how to use it. */
export async function kernelBuild(config: Config, env: NodeJS.ProcessEnv, print: Print): Promise<void> {
  const { release } = await buildGuestKernel(setupOptions(config, env));
  print(`kernel    ${join(new CacheLayout(config.cacheDir).kernels, release)}`);
  print(`next      ./flotilla kernel use ${release}`);
}

/** One line per kernel, the newest first; or one JSON object. */
export async function kernelLs(config: Config, isJson: boolean, print: Print): Promise<void> {
  const cache = new CacheLayout(config.cacheDir);
  const [kernels, used] = [await listKernels(cache), await findKernel(cache)];
  const shown = kernels.map((kernel) => shownOf(kernel, kernel.release === used?.release));
  if (isJson) return print(JSON.stringify({ kernels: shown }));
  if (shown.length === 0) return print('No kernels yet: run ./flotilla setup, or ./flotilla kernel build');
  const rows = [
    ['NAME', 'KIND', 'VERSION', 'SIZE', 'HASH', 'IN USE'],
    ...shown.map(({ name, kind, version, bytes, digest, in_use }) => [
      ...[name, kind, version ?? '-', `${(bytes / 2 ** 20).toFixed(0)} MiB`],
      ...[digest?.replace('sha256:', '').slice(0, 12) ?? '-', in_use ? 'yes' : 'no'],
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows)
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
}

function shownOf({ release, kind, source, vmlinuxBytes, madeAt }: Kernel, isUsed: boolean) {
  return {
    name: release,
    kind,
    package: source?.packageName ?? null,
    version: source?.version ?? null,
    bytes: vmlinuxBytes,
    digest: source?.digest ?? null,
    made_at: madeAt.toISOString(),
    in_use: isUsed,
  };
}

/** Takes one into use, and says from when on. */
export async function kernelUse(
  config: Config,
  env: NodeJS.ProcessEnv,
  name: string,
  print: Print,
): Promise<void> {
  const { release } = await useKernel(setupOptions(config, env), name);
  print(`kernel    ${release}`);
  print(
    'next      ./flotilla down && ./flotilla up; machines keep running, and boot it from their next start on',
  );
}

export async function kernelRm(
  config: Config,
  env: NodeJS.ProcessEnv,
  name: string,
  print: Print,
): Promise<void> {
  const { release } = await removeGuestKernel(setupOptions(config, env), name);
  print(`Removed kernel ${release}`);
}

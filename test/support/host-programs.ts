/** Brings programs of this host into a guest, with the libraries that they need, whatever the guest's image has. */
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const tarBytesMax = 128 * 1024 * 1024;

export interface HostPrograms {
  readonly tar: Buffer;
  /** Reads the archive from standard input, in the guest's shell. */
  readonly install: string;
}

/** `names`: programs that this host has on its path. */
export async function packHostPrograms(names: readonly string[]): Promise<HostPrograms> {
  const directory = await mkdtemp(join(tmpdir(), 'f-programs-'));
  try {
    const files = new Set<string>();
    let loader = '';
    for (const name of names) {
      const path = (await run('sh', ['-c', `command -v ${name}`])).stdout.trim();
      files.add(path);
      const { stdout } = await run('ldd', [path]);
      for (const [, library = ''] of stdout.matchAll(/(\/\S+) \(0x/g)) {
        files.add(library);
        if (basename(library).startsWith('ld-')) loader = basename(library);
      }
    }
    for (const path of files) await copyFile(path, join(directory, basename(path)));
    const options = { encoding: 'buffer', maxBuffer: tarBytesMax } as const;
    const { stdout: tar } = await run('tar', ['-C', directory, '-cf', '-', '.'], options);
    return { tar, install: installing(names, loader) };
  } finally {
    await rm(directory, { recursive: true });
  }
}

function installing(names: readonly string[], loader: string): string {
  const place = '/opt/host';
  const start = names.map(
    (name) =>
      `printf '#!/bin/sh\nexec ${place}/${loader} --library-path ${place} ${place}/${name} "$@"\n' >/usr/bin/${name}` +
      ` && chmod 755 /usr/bin/${name}`,
  );
  return [`mkdir -p ${place}`, `tar -xf - -C ${place}`, ...start].join(' && ');
}

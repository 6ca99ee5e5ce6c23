/** Which Linux distribution this host runs, and whether set-up is tested on it. */
import { readFile } from 'node:fs/promises';
import { AppError } from '../core/errors.ts';

export interface Distro {
  readonly id: string;
  readonly versionId: string;
  /** A display name, such as `Debian GNU/Linux 12 (bookworm)`. */
  readonly title: string;
  /** Whether packages and kernels come from `debian` or `ubuntu` archives. */
  readonly family: 'debian' | 'ubuntu';
  /** Whether set-up is tested on exactly this release; elsewhere it is best effort and says so. */
  readonly isProved: boolean;
}

/**
 * Reads os-release. Raises `unsupported` on a host without apt's package names or with a CPU other than
 * x86-64.
 */
export async function readDistro(path = '/etc/os-release', arch: string = process.arch): Promise<Distro> {
  const hint = 'Use a Debian 12 machine (x86-64), or fill FLOTILLA_CACHE_DIR on one and copy it here.';
  if (arch !== 'x64') {
    throw new AppError('unsupported', `set-up makes x86-64 guests only; this machine is ${arch}`, { hint });
  }
  const fields = parseOsRelease(await readFile(path, 'utf8').catch(() => ''));
  const id = fields.get('ID') ?? 'unknown';
  const versionId = fields.get('VERSION_ID') ?? '';
  const title = fields.get('PRETTY_NAME') ?? id;
  const like = `${id} ${fields.get('ID_LIKE') ?? ''}`.split(' ');
  const family = like.includes('ubuntu') ? 'ubuntu' : like.includes('debian') ? 'debian' : null;
  if (family === null) {
    throw new AppError('unsupported', `set-up needs apt packages of Debian or Ubuntu; this is ${title}`, {
      hint,
    });
  }
  return { id, versionId, title, family, isProved: id === 'debian' && versionId === '12' };
}

function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const pairs = text.matchAll(/^([A-Z_]+)=(?:"([^"\n]*)"|'([^'\n]*)'|([^"'\n]*))$/gm);
  return new Map([...pairs].map((match) => [match[1] ?? '', match[2] ?? match[3] ?? match[4] ?? '']));
}

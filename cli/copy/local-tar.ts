/** Trees of this host as tar archives: packed by the local `tar`, and unpacked by it into a directory of their own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type Archive, TarWords, tarArchive, tarEnded, tarEnvironment } from '../archive.ts';
import type { Environment } from '../environment.ts';
import { CliError } from '../errors.ts';
import type { LocalSource } from './local-side.ts';

/** Only the first keeps times beyond 2242 and parts of a second. */
const format = ['--format=posix', '--pax-option=delete=atime,delete=ctime'];

/** An archive whose first entry is called `name`. Holes are not sent as zeros. */
export function packLocal(
  source: LocalSource,
  name: string,
  { keepsOwners, env }: Pick<UnpackOptions, 'keepsOwners' | 'env'>,
): Archive {
  const { directory, entry, words } = source;
  const attributes = keepsOwners ? ['--xattrs', '--xattrs-exclude=security.selinux'] : onlyUserAttributes;
  const flags = ['--create', '--no-unquote', '--sparse', '--numeric-owner', ...attributes, ...format];
  // A directory is entered, as its path may end in a link; names in it begin with a dot, those of files are known.
  const [from, what] = entry === null ? ['^[.]', '.'] : ['^.*$', `./${entry}`];
  const rename = entry === null && name === '.' ? [] : [`--transform=${renaming(from, name)}`];
  // The names of hard links' targets change, too; those of symbolic links do not.
  return tarArchive([...flags, ...rename, `--directory=${directory}`, '--', what], words, env);
}

const onlyUserAttributes = ['--xattrs', '--xattrs-include=user.*'];

/** A `sed` command of GNU tar. The separator can be in no name. */
function renaming(from: string, name: string): string {
  return `s/${from}/${name.replaceAll(/[\\&]/g, '\\$&')}/S`;
}

export interface UnpackOptions {
  /** Keep owners and all attributes, as far as this user may. */
  readonly keepsOwners: boolean;
  readonly signal: AbortSignal;
  readonly env: Environment;
}

/**
 * Unpacks into an empty directory and gives what tar said. Nothing is written outside of it: tar takes no name that leads
 * out, and makes links that lead out when everything else is done. Throws CliError when tar refuses the archive.
 */
export async function unpackLocal(
  directory: string,
  content: AsyncIterable<Uint8Array>,
  { keepsOwners, signal, env }: UnpackOptions,
): Promise<readonly string[]> {
  const isRoot = process.getuid?.() === 0;
  const attributes = keepsOwners && isRoot ? ['--xattrs', '--xattrs-include=*'] : onlyUserAttributes;
  const owners = keepsOwners && isRoot ? '--same-owner' : '--no-same-owner';
  const kept = ['--numeric-owner', owners, '--same-permissions', ...attributes];
  const flags = ['--extract', ...kept, '--warning=no-timestamp'];
  const child = spawn('tar', ['--file=-', ...flags, `--directory=${directory}`], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: tarEnvironment(env),
  });
  const said = new TarWords(child.stderr);
  const ended = tarEnded(child);
  ended.catch(() => undefined);
  const gone = new AbortController();
  child.stdin.on('error', () => gone.abort()).on('close', () => gone.abort());
  let isWhole = false;
  try {
    for await (const piece of content) {
      signal.throwIfAborted();
      if (gone.signal.aborted) break;
      if (!child.stdin.write(piece)) await drained(child.stdin, gone.signal, signal);
    }
    child.stdin.end();
    isWhole = true;
  } finally {
    if (!isWhole) {
      child.kill('SIGKILL');
      await ended.catch(() => undefined);
    }
  }
  const outcome = await ended;
  signal.throwIfAborted();
  if (outcome !== 0)
    throw new CliError(`tar could not unpack what the machine sent: ${said.reason(outcome)}`);
  return said.lines;
}

async function drained(stream: NodeJS.WritableStream, gone: AbortSignal, signal: AbortSignal): Promise<void> {
  try {
    await once(stream, 'drain', { signal: AbortSignal.any([gone, signal]) });
  } catch {
    signal.throwIfAborted();
  }
}

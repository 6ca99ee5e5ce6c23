/** Sources and destinations of `cp` in machines. */
import { posix } from 'node:path';
import { type FileStat, type FlotillaClient, FlotillaError } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { resolved } from '../resolve.ts';
import {
  type DestinationFacts,
  meansContent,
  meansDirectory,
  type Place,
  type SourceFacts,
} from './places.ts';

type MachinePlace = Extract<Place, { readonly kind: 'machine' }>;

export interface MachineSource extends SourceFacts {
  readonly id: string;
  readonly path: string;
  /** Of a regular file; null where nobody knows before the end. */
  readonly bytes: number | null;
}

export interface MachineDestination extends DestinationFacts {
  readonly id: string;
}

/** As many links as Linux follows in one path. */
const linksMax = 40;

/** Throws CliError when there is no such file, and the API's error when there is no such machine. */
export async function machineSource(
  context: Context,
  { machine, path }: MachinePlace,
  followsLink: boolean,
): Promise<MachineSource> {
  const id = await idOf(context, machine);
  const side = new MachineSide(context, id);
  const words = `${machine}:${path}`;
  const bare = withoutEnding(path);
  const isFollowed = followsLink || meansDirectory(path);
  const stat = await side.stat(bare, isFollowed);
  if (stat === null) throw new CliError(`there is no ${words}`);
  const isDirectory = stat.type === 'directory';
  if (meansDirectory(path) && !isDirectory) throw new CliError(`${words} is not a directory`);
  if (stat.type === 'socket') throw new CliError(`${words} is a socket, which cannot be copied`);
  return {
    ...{ id, words, isDirectory, isContent: meansContent(path) || bare === '/', name: posix.basename(bare) },
    path: isFollowed && !isDirectory ? await side.realPath(bare) : isFollowed ? `${bare}/.` : bare,
    bytes: stat.type === 'file' ? stat.size : null,
  };
}

export async function machineDestination(
  context: Context,
  { machine, path }: MachinePlace,
): Promise<MachineDestination> {
  const id = await idOf(context, machine);
  const side = new MachineSide(context, id);
  const bare = withoutEnding(path);
  const itself = await side.stat(bare, false);
  // The copy goes to what a link points to, whether that is there or not.
  const real = itself?.type === 'symlink' ? await side.realPath(bare) : bare;
  const stat = itself?.type === 'symlink' ? await side.stat(real, false) : itself;
  const directory = posix.dirname(real);
  const parent = stat === null ? await side.stat(directory, true) : null;
  return {
    ...{ id, words: `${machine}:${path}`, path: real, directory, name: posix.basename(real) },
    kind: stat === null ? 'absent' : stat.type === 'directory' ? 'directory' : 'other',
    hasParent: stat !== null || parent?.type === 'directory',
    meansDirectory: meansDirectory(path),
  };
}

/** The path without the ending that says what of a directory is meant. */
function withoutEnding(path: string): string {
  const bare = path.replace(/\/\.?$/, '');
  return bare === '' ? '/' : bare;
}

async function idOf(context: Context, word: string): Promise<string> {
  const { client, signal } = context;
  try {
    return await resolved(context, word, async (id) => (await client.machines.get(id, { signal })).id);
  } catch (error) {
    // A key may be good for files without being good for looking at machines.
    if (error instanceof FlotillaError && error.status === 403) return word;
    throw error;
  }
}

class MachineSide {
  readonly #client: FlotillaClient;
  readonly #signal: AbortSignal;
  readonly #id: string;

  constructor(context: Context, id: string) {
    this.#client = context.client;
    this.#signal = context.signal;
    this.#id = id;
  }

  /** Null when there is no such file. */
  async stat(path: string, follow: boolean): Promise<FileStat | null> {
    try {
      return await this.#client.files.stat(this.#id, path, { follow, signal: this.#signal });
    } catch (error) {
      if (error instanceof FlotillaError && error.status === 404) return null;
      throw error;
    }
  }

  /** The path with every link in it resolved. Its last part need not exist. */
  async realPath(path: string): Promise<string> {
    const left = path.split('/');
    let real = '/';
    let links = 0;
    for (let part = left.shift(); part !== undefined; part = left.shift()) {
      if (part === '' || part === '.') continue;
      const next = posix.join(real, part);
      const stat = part === '..' ? null : await this.stat(next, false);
      if (stat?.type !== 'symlink') {
        real = next;
        continue;
      }
      links++;
      if (stat.target === null || links > linksMax)
        throw new CliError(`${path} is a link that cannot be followed`);
      if (stat.target.startsWith('/')) real = '/';
      left.unshift(...stat.target.split('/'));
    }
    return real;
  }
}

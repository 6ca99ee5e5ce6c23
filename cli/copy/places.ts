/** The operands of `cp`, and where a copy goes. Docker's rules. Pure. */
import { posix } from 'node:path';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';

export type Place =
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'machine'; readonly machine: string; readonly path: string }
  /** `-`: a tar archive on standard input or output. */
  | { readonly kind: 'stream' };

/**
 * Reads an operand. As with docker, a colon names a machine unless the text begins with `/` or `.`; a path in a machine
 * is always meant from its root directory.
 *
 * Examples: `web:/etc`, `web:etc` → /etc in web; `./a:b`, `/a:b`, `notes` → files here; `-` → a stream.
 */
export function placeOf(text: string): Place {
  if (text === '-') return { kind: 'stream' };
  if (text === '') throw usage('a path is empty');
  const colon = text.indexOf(':');
  if (colon < 0 || text.startsWith('/') || text.startsWith('.')) return { kind: 'local', path: text };
  const machine = text.slice(0, colon);
  const path = text.slice(colon + 1);
  if (machine === '')
    throw usage(`'${text}' names no machine`, 'a local path that begins with a colon needs ./ before it');
  if (path === '') throw usage(`'${text}' names no file`, `${machine}:/ is the root directory of ${machine}`);
  return { kind: 'machine', machine, path: fromRoot(path) };
}

/** An absolute path without `..` and double slashes; its ending, which matters, stays. */
function fromRoot(path: string): string {
  const clean = posix.normalize(`/${path}`);
  if (!/(^|\/)\.$/.test(path)) return clean;
  return clean.endsWith('/') ? `${clean}.` : `${clean}/.`;
}

/** Whether only a directory can be meant. */
export function meansDirectory(path: string): boolean {
  return /(^|\/)\.{0,2}$/.test(path);
}

/** Whether what is in the directory is meant, not the directory. */
export function meansContent(path: string): boolean {
  return /(^|\/)\.$/.test(path);
}

export interface SourceFacts {
  /** What it is called in messages. */
  readonly words: string;
  /** The last part of its path. */
  readonly name: string;
  readonly isDirectory: boolean;
  /** Whether only what is in the directory is copied where the destination is a directory. */
  readonly isContent: boolean;
}

export interface DestinationFacts {
  readonly words: string;
  readonly kind: 'directory' | 'other' | 'absent';
  /** With links resolved where `kind` is `other`. */
  readonly directory: string;
  readonly name: string;
  /** Itself, where it is a directory. */
  readonly path: string;
  readonly hasParent: boolean;
  readonly meansDirectory: boolean;
}

export interface Target {
  /** An existing directory. */
  readonly directory: string;
  /** Of the copy in it; `.`: the content of the source goes into it. */
  readonly name: string;
}

/** Throws CliError when the source cannot go there. */
export function targetOf(source: SourceFacts, destination: DestinationFacts): Target {
  const { words, kind, path, directory, name } = destination;
  if (kind === 'directory') return { directory: path, name: source.isContent ? '.' : source.name };
  if (kind === 'other') {
    if (source.isDirectory)
      throw new CliError(`cannot copy the directory ${source.words} to ${words}: it is a file`);
    if (destination.meansDirectory) throw new CliError(`${words} is a file, not a directory`);
    return { directory, name };
  }
  if (!destination.hasParent)
    throw new CliError(`there is no directory for ${words}`, { hint: 'make it first' });
  if (!source.isDirectory && destination.meansDirectory) {
    throw new CliError(`there is no directory ${words}`, {
      hint: 'make it first, or leave out the slash at the end to copy to a file of that name',
    });
  }
  return { directory, name };
}

export function usage(message: string, hint?: string): CliError {
  return new CliError(message, { exitCode: exitCodes.usage, ...(hint === undefined ? {} : { hint }) });
}

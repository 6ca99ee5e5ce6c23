/**
 * The profile: one file with the address of a daemon and the key for it. It is read only when nobody else can have read
 * or written it, and written whole or not at all.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import type { Environment } from './environment.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';

export interface Profile {
  readonly url: string;
  readonly key: string;
}

const profileBytesMax = 16 * 1024;
const prefixLength = 11;

/** Where the profile is, whether or not it is there. */
export function profilePathOf(env: Environment): string {
  if (env.FLOTILLA_PROFILE) return env.FLOTILLA_PROFILE;
  // What is not absolute is to be ignored, says the XDG base directory specification.
  const base = env.XDG_CONFIG_HOME;
  const config = base !== undefined && isAbsolute(base) ? base : join(homedir(), '.config');
  return join(config, 'flotilla', 'profile.json');
}

/** Null when there is none. Throws CliError for a file that others can read or own, or that is no profile. */
export function readProfile(path: string): Profile | null {
  let file: number;
  try {
    // Opening must not wait for what somebody put there instead of a file.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (isNotThere(error)) return null;
    throw refused(
      path,
      `cannot be read (${codeOf(error)})`,
      'make it readable for you, or: flotilla profile rm',
    );
  }
  try {
    checkOwner(path, file);
    const buffer = Buffer.alloc(profileBytesMax);
    return parse(path, buffer.toString('utf8', 0, readSync(file, buffer)));
  } finally {
    closeSync(file);
  }
}

/** Replaces the profile; makes its directory. Throws CliError when it cannot. */
export function writeProfile(path: string, { url, key }: Profile): void {
  const temporary = `${path}.${randomUUID()}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeSync(file, `${JSON.stringify({ url, key }, null, 2)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new CliError(`cannot write ${path}: ${codeOf(error)}`);
  }
}

/** Whether there was one. Throws CliError when it cannot be removed. */
export function removeProfile(path: string): boolean {
  try {
    rmSync(path);
    return true;
  } catch (error) {
    if (isNotThere(error)) return false;
    throw new CliError(`cannot remove ${path}: ${codeOf(error)}`);
  }
}

/** Whether the text can be sent as a key at all. */
export function isKey(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

/** As much of a key as may be shown: what `flotilla keys ls` shows of it. */
export function shortened(key: string): string {
  return key.length < prefixLength * 2 ? '…' : `${key.slice(0, prefixLength)}…`;
}

function checkOwner(path: string, file: number): void {
  const { mode, uid } = fstatSync(file);
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) {
    throw refused(
      path,
      'is not a file',
      'flotilla profile set makes one elsewhere with FLOTILLA_PROFILE set',
    );
  }
  if (process.geteuid !== undefined && uid !== process.geteuid()) {
    throw refused(
      path,
      'belongs to somebody else',
      'remove it, and make your own with: flotilla profile set',
    );
  }
  if ((mode & 0o077) !== 0) {
    const hint = `chmod 600 ${path}, and if others may have read it, make a new key and revoke this one`;
    throw refused(path, 'can be read or written by others, and holds a key', hint);
  }
}

function parse(path: string, text: string): Profile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  const { url, key } = (value ?? {}) as Partial<Record<keyof Profile, unknown>>;
  if (typeof url !== 'string' || typeof key !== 'string' || !isKey(key)) {
    throw refused(path, 'is not a profile', 'flotilla profile set writes a new one');
  }
  return { url, key };
}

function refused(path: string, why: string, hint: string): CliError {
  return new CliError(`the profile ${path} ${why}`, { hint, exitCode: exitCodes.usage });
}

function isNotThere(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

/**
 * Profiles: files with the address of a daemon and the key for it, one of them in use. One is read only when nobody else can
 * have read or written it, and written whole or not at all. The default one is `profile.json`, the others are in
 * `profiles/`; `current` names the one in use.
 */
import { randomUUID } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
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

export const defaultProfile = 'default';
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/;

/** A profile by its place. */
export interface ProfilePlace {
  /** Null: FLOTILLA_PROFILE names a file. */
  readonly name: string | null;
  readonly path: string;
  /** Whether it was chosen by name, so that there must be one. */
  readonly isChosen: boolean;
}

/** The profile that FLOTILLA_PROFILE names, by a name or a path, else the one in use, else the default one. */
export function currentProfile(env: Environment): ProfilePlace {
  const given = env.FLOTILLA_PROFILE;
  if (given?.includes('/')) return { name: null, path: given, isChosen: false };
  const name = given || nameInUse(env) || defaultProfile;
  return { name, path: profilePath(env, name), isChosen: name !== defaultProfile };
}

/** Where the profile of that name is, whether or not it is there. Throws CliError for what is no name. */
export function profilePath(env: Environment, name: string): string {
  if (!namePattern.test(name)) {
    throw new CliError(`'${name}' cannot be the name of a profile`, {
      hint: 'letters, digits, dots, hyphens and underscores, at most 63',
      exitCode: exitCodes.usage,
    });
  }
  const directory = configDirectory(env);
  return name === defaultProfile
    ? join(directory, 'profile.json')
    : join(directory, 'profiles', `${name}.json`);
}

/** The names of the profiles there are, in order. */
export function profileNames(env: Environment): readonly string[] {
  const names = namesIn(join(configDirectory(env), 'profiles'));
  const hasDefault = existsSync(profilePath(env, defaultProfile));
  return [...(hasDefault ? [defaultProfile] : []), ...names.toSorted()];
}

/** Makes the profile the one in use. */
export function useProfile(env: Environment, name: string): void {
  writeWhole(join(configDirectory(env), 'current'), `${name}\n`);
}

function namesIn(directory: string): readonly string[] {
  try {
    const files = readdirSync(directory).filter((file) => file.endsWith('.json'));
    return files.map((file) => file.slice(0, -'.json'.length)).filter((name) => namePattern.test(name));
  } catch (error) {
    if (isNotThere(error)) return [];
    throw new CliError(`cannot read ${directory}: ${codeOf(error)}`);
  }
}

function nameInUse(env: Environment): string | null {
  try {
    return readFileSync(join(configDirectory(env), 'current'), 'utf8').trim();
  } catch {
    // It holds a choice and no secret: without it the default profile is meant.
    return null;
  }
}

function configDirectory(env: Environment): string {
  // What is not absolute is to be ignored, says the XDG base directory specification.
  const base = env.XDG_CONFIG_HOME;
  const config = base !== undefined && isAbsolute(base) ? base : join(env.HOME ?? homedir(), '.config');
  return join(config, 'flotilla');
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
  writeWhole(path, `${JSON.stringify({ url, key }, null, 2)}\n`);
}

/** For its owner alone, whole or not at all. */
function writeWhole(path: string, text: string): void {
  const temporary = `${path}.${randomUUID()}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const file = openSync(temporary, 'wx', 0o600);
    try {
      writeSync(file, text);
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
    const hint = `run chmod 600 ${path}; if others may have read it, also make a new key and revoke this one`;
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

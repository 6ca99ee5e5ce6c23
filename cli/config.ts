/**
 * Where the daemon is and which key opens it: from the environment, else the profile, else the state directory of this
 * machine's daemon, which is talked to over its unix socket. The key in `admin.key` goes over that socket and nowhere
 * else: any program may listen at the daemon's address while the daemon does not run. A profile, a `daemon.url` or an
 * `admin.key` that is not there is nothing wrong: the daemon may be elsewhere, or ask for no key.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Environment } from './environment.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { operatorSocketIn } from './operator-socket.ts';
import { currentProfile, isKey, type Profile, type ProfilePlace, readProfile } from './profile.ts';

export interface CliConfig {
  readonly url: string;
  /** Where the address came from, for people. */
  readonly urlFrom: string;
  readonly key: string | undefined;
  /** Where the key came from, or why there is none. */
  readonly keyFrom: string;
  /** The unix socket that the address stands for; null: the address is dialled. */
  readonly socketPath: string | null;
  /** Whether the daemon is one of this machine. */
  readonly isLocal: boolean;
  /** Whether the key goes to the profile's address without being the profile's. */
  readonly isMixed: boolean;
}

const fileBytesMax = 4096;

/** Throws CliError when the key cannot be one, or when the profile is asked and cannot be trusted. */
export function readConfig(env: Environment): CliConfig {
  if (env.FLOTILLA_KEY === '') {
    // As after K=$(flotilla keys create …) that failed: another key must not stand in for it.
    throw new CliError('FLOTILLA_KEY is set but empty', {
      hint: 'give it a key, or unset it to use the profile or the daemon of this host',
      exitCode: exitCodes.usage,
    });
  }
  const stateDir = env.FLOTILLA_STATE_DIR || defaultStateDir(env);
  const isProfileNeeded = !env.FLOTILLA_URL || !env.FLOTILLA_KEY;
  const place = currentProfile(env);
  const { path } = place;
  const profile = isProfileNeeded ? readChosen(place) : null;
  const address = findUrl(env, stateDir, profile, path);
  const isLocal = address.source === 'daemon' || isLoopback(address.url);
  const socket = operatorSocketIn(stateDir);
  const isOwn = address.source === 'daemon' || isSameLoopback(address.url, daemonUrl(stateDir));
  const found = findKey(env, { stateDir, isOwn, isLocal, url: address.url, profile, path });
  const { key, keyFrom } = found;
  const socketPath = address.source === 'daemon' || found.isOfDaemon ? socket.path : null;
  if (key !== undefined && !isKey(key)) {
    throw new CliError(`the key from ${keyFrom} is not a key`, { exitCode: exitCodes.usage });
  }
  const isMixed = address.source === 'profile' && key !== undefined && keyFrom !== path;
  return { url: address.url, urlFrom: address.from, key, keyFrom, socketPath, isLocal, isMixed };
}

/** Throws CliError when one was chosen by name and is not there: another daemon would be spoken to instead. */
function readChosen({ name, path, isChosen }: ProfilePlace): Profile | null {
  const profile = readProfile(path);
  if (profile !== null || !isChosen) return profile;
  throw new CliError(`there is no profile '${name}'`, {
    hint: `flotilla profile ls shows the profiles there are; flotilla profile set ${name} --url URL makes it`,
    exitCode: exitCodes.usage,
  });
}

function defaultStateDir(env: Environment): string {
  return process.getuid?.() === 0
    ? '/var/lib/flotilla'
    : join(env.HOME ?? homedir(), '.local/share/flotilla');
}

interface Address {
  readonly url: string;
  readonly from: string;
  readonly source: 'environment' | 'profile' | 'daemon';
}

function findUrl(env: Environment, stateDir: string, profile: Profile | null, profilePath: string): Address {
  if (env.FLOTILLA_URL) return { url: env.FLOTILLA_URL, from: 'FLOTILLA_URL', source: 'environment' };
  if (profile !== null) return { url: profile.url, from: profilePath, source: 'profile' };
  const written = daemonUrl(stateDir);
  if (written) return { url: written, from: join(stateDir, 'daemon.url'), source: 'daemon' };
  return { url: `http://127.0.0.1:${env.PORT || '3000'}`, from: 'the default', source: 'daemon' };
}

/** What the daemon of the state directory wrote, if it did; it may have ended since. */
function daemonUrl(stateDir: string): string | undefined {
  return readSmallFile(join(stateDir, 'daemon.url')).text || undefined;
}

interface KeySources {
  readonly stateDir: string;
  /** Whether the address is that of the state directory's daemon. */
  readonly isOwn: boolean;
  readonly isLocal: boolean;
  readonly url: string;
  readonly profile: Profile | null;
  readonly path: string;
}

interface FoundKey {
  readonly key: string | undefined;
  readonly keyFrom: string;
  /** Whether it is the state directory's, for the daemon's socket alone. */
  readonly isOfDaemon: boolean;
}

/** A key of a file is shown to nobody but whom it is for: the profile's address, this machine's daemon. */
function findKey(env: Environment, { stateDir, isOwn, isLocal, url, profile, path }: KeySources): FoundKey {
  if (env.FLOTILLA_KEY) return { key: env.FLOTILLA_KEY, keyFrom: 'FLOTILLA_KEY', isOfDaemon: false };
  if (profile !== null && isSameAddress(profile.url, url)) {
    return { key: profile.key, keyFrom: path, isOfDaemon: false };
  }
  const none = (why: string) => ({
    key: undefined,
    keyFrom: `FLOTILLA_KEY is not set${why}`,
    isOfDaemon: false,
  });
  const other = profile === null ? '' : `, the key in ${path} is for ${profile.url}`;
  if (!isLocal) return none(other);
  const file = join(stateDir, 'admin.key');
  const { text, problem } = readSmallFile(file);
  if (!text) return none(`${other} and ${file} ${problem ?? 'is empty'}`);
  if (!isOwn) return none(`${other} and ${file} is for the daemon of ${stateDir}, which is not at ${url}`);
  const socket = operatorSocketIn(stateDir);
  if (socket.path === null) {
    return none(
      `${other} and the key in ${file} goes only over ${stateDir}/operator/api.sock, which ${socket.problem}`,
    );
  }
  return { key: text, keyFrom: file, isOfDaemon: true };
}

function isSameAddress(one: string, other: string): boolean {
  const plain = (url: string) => (URL.canParse(url) ? new URL(url).href.replace(/\/+$/, '') : url);
  return plain(one) === plain(other);
}

/** Whether both are the same port of this machine, by whatever name. */
function isSameLoopback(one: string, other: string | undefined): boolean {
  if (other === undefined || !isLoopback(one) || !isLoopback(other)) return false;
  return new URL(one).port === new URL(other).port;
}

/** Whether the address is one of this machine alone. */
export function isLoopback(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function readSmallFile(path: string): { readonly text?: string; readonly problem?: string } {
  try {
    const file = openSync(path, 'r');
    try {
      const buffer = Buffer.alloc(fileBytesMax);
      const length = readSync(file, buffer);
      return { text: buffer.toString('utf8', 0, length).trim() };
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    return { problem: code === 'ENOENT' ? 'does not exist' : `cannot be read (${code})` };
  }
}

/**
 * Where the daemon is and which key opens it, from the environment and the state directory. A state directory, a
 * `daemon.url` or an `admin.key` that is not there is nothing wrong: the daemon may be elsewhere, or ask for no key.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface CliConfig {
  readonly url: string;
  /** Where the address came from, for people. */
  readonly urlFrom: string;
  readonly key: string | undefined;
  /** Where the key came from, or why there is none. */
  readonly keyFrom: string;
  /** Whether the daemon is one of this machine. */
  readonly isLocal: boolean;
}

const fileBytesMax = 4096;

/** Throws CliError when the key cannot be one. */
export function readConfig(env: Environment): CliConfig {
  const stateDir = env.FLOTILLA_STATE_DIR || defaultStateDir();
  const address = findUrl(env, stateDir);
  const isLocal = !address.isGiven || isLoopback(address.url);
  const { key, keyFrom } = findKey(env, stateDir, isLocal);
  if (key !== undefined && !/^[\x21-\x7e]+$/.test(key)) {
    throw new CliError(`the key from ${keyFrom} is not a key`, { exitCode: exitCodes.usage });
  }
  return { url: address.url, urlFrom: address.from, key, keyFrom, isLocal };
}

function defaultStateDir(): string {
  return process.getuid?.() === 0 ? '/var/lib/flotilla' : join(homedir(), '.local/share/flotilla');
}

function findUrl(env: Environment, stateDir: string) {
  if (env.FLOTILLA_URL) return { url: env.FLOTILLA_URL, from: 'FLOTILLA_URL', isGiven: true };
  const path = join(stateDir, 'daemon.url');
  const written = readSmallFile(path);
  if (written.text) return { url: written.text, from: path, isGiven: false };
  return { url: `http://127.0.0.1:${env.PORT || '3000'}`, from: 'the default', isGiven: false };
}

/** The state directory's key opens this machine's daemon; it is not shown to any other. */
function findKey(env: Environment, stateDir: string, isLocal: boolean) {
  if (env.FLOTILLA_KEY) return { key: env.FLOTILLA_KEY, keyFrom: 'FLOTILLA_KEY' };
  if (!isLocal) return { key: undefined, keyFrom: 'FLOTILLA_KEY is not set' };
  const path = join(stateDir, 'admin.key');
  const { text, problem } = readSmallFile(path);
  if (text) return { key: text, keyFrom: path };
  return { key: undefined, keyFrom: `FLOTILLA_KEY is not set and ${path} ${problem ?? 'is empty'}` };
}

function isLoopback(url: string): boolean {
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

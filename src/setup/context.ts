/**
 * The input of every set-up step. Set-up fills the cache directory and installs packages; it knows nothing
 * about machines, the daemon or its state.
 */
import { join } from 'node:path';
import type { CacheLayout } from '../storage/layout.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SetupContext {
  readonly cache: CacheLayout;
  /** Environment of child programs; see `childEnvironment`. */
  readonly env: Environment;
  /** The checkout's root, which contains `guest-agent/`. */
  readonly sourceRoot: string;
  readonly signal: AbortSignal;
}

/** The checkout this file belongs to. */
export const sourceRootDefault = join(import.meta.dirname, '..', '..');

// Root's PATH under `su` or cron lacks the sbin directories, which contain mkfs; Go's archive unpacks to
// /usr/local/go.
const extraPath = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/go/bin'];

/**
 * Makes the caller's environment predictable: no questions, English messages for parsing, a complete PATH.
 */
export function childEnvironment(env: Environment): Environment {
  const path = (env.PATH ?? '').split(':').filter((entry) => entry !== '');
  const added = extraPath.filter((entry) => !path.includes(entry));
  return {
    ...env,
    PATH: [...path, ...added].join(':'),
    LC_ALL: 'C.UTF-8',
    LANGUAGE: '',
    DEBIAN_FRONTEND: 'noninteractive',
    APT_LISTCHANGES_FRONTEND: 'none',
    NEEDRESTART_MODE: 'l',
  };
}

/**
 * What every set-up step is given. Set-up fills the cache directory and installs packages; it knows nothing of machines,
 * of the daemon or of its state.
 */
import { join } from 'node:path';
import type { CacheLayout } from '../storage/layout.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface SetupContext {
  readonly cache: CacheLayout;
  /** What child programs see; see `childEnvironment`. */
  readonly env: Environment;
  /** The checkout's root, where `guest-agent/` is. */
  readonly sourceRoot: string;
  readonly signal: AbortSignal;
}

/** The checkout this file belongs to. */
export const sourceRootDefault = join(import.meta.dirname, '..', '..');

// Root's PATH under `su` or cron lacks the sbin directories, where mkfs is; Go's own archive unpacks to /usr/local/go.
const extraPath = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/go/bin'];

/** The caller's environment made predictable: no questions, English messages that we can read, a whole PATH. */
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

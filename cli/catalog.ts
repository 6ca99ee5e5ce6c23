/**
 * Every command there is. Commands of the API are loaded when they are the one asked for; those of the daemon are
 * listed for the help only, as the launcher sends them elsewhere.
 */
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { exitCodes } from './exit-codes.ts';

export interface CommandModule {
  readonly define: (context: Context) => Command;
}

/** What an entry's commands are about, for hints. */
export interface Noun {
  readonly plural: string;
  /** The command that lists them. */
  readonly listing: string;
}

export interface CatalogEntry {
  readonly name: string;
  readonly aliases: readonly string[];
  /** What follows the name. */
  readonly terms: string;
  readonly summary: string;
  readonly group: string;
  /** Null: the launcher's. */
  readonly load: (() => Promise<CommandModule>) | null;
  /** The exit code of a failure that has none of its own. */
  readonly failureCode: number;
  /** Whether what follows its first argument is a command of the guest's. */
  readonly hasWords: boolean;
  readonly noun: Noun;
}

const machineNoun: Noun = { plural: 'machines', listing: 'flotilla ls' };

function entry(
  group: string,
  name: string,
  terms: string,
  summary: string,
  load: CatalogEntry['load'],
  more: Partial<CatalogEntry> = {},
): CatalogEntry {
  const defaults = { aliases: [], failureCode: exitCodes.failed, hasWords: false, noun: machineNoun };
  return { group, name, terms, summary, load, ...defaults, ...more };
}

/** An entry whose commands are below it: `keys ls`. */
function nounEntry(
  name: string,
  terms: string,
  summary: string,
  load: CatalogEntry['load'],
  more: Partial<CatalogEntry> = {},
): CatalogEntry {
  const noun = { plural: name, listing: `flotilla ${name} ls` };
  return entry(nouns, name, terms, summary, load, { noun, ...more });
}

const commands = 'Commands in machines:';
const machines = 'Machines:';
const nouns = 'Images, keys and operations:';
const host = 'This host (run by the ./flotilla launcher):';
const other = 'Other:';

const ofCommands = { failureCode: exitCodes.infrastructure, hasWords: true };

export const catalog: readonly CatalogEntry[] = [
  entry(
    commands,
    'run',
    'IMAGE CMD…',
    'make a machine, run CMD in it, remove it',
    () => import('./commands/run.ts'),
    ofCommands,
  ),
  entry(
    commands,
    'exec',
    'MACHINE CMD…',
    'run CMD in a running machine',
    () => import('./commands/exec.ts'),
    ofCommands,
  ),
  entry(machines, 'create', '[IMAGE]', 'make a machine', () => import('./commands/create.ts')),
  entry(machines, 'ls', '', 'list machines', () => import('./commands/ls.ts'), { aliases: ['ps'] }),
  entry(machines, 'get', 'MACHINE', 'show one machine', () => import('./commands/get.ts'), {
    aliases: ['inspect'],
  }),
  entry(
    machines,
    'update',
    'MACHINE…',
    'change labels, lifetime, restart policy; size while stopped',
    () => import('./commands/update.ts'),
  ),
  entry(
    machines,
    'rename',
    'MACHINE NAME',
    'give a machine another name',
    () => import('./commands/rename.ts'),
  ),
  entry(machines, 'start', 'MACHINE…', 'start machines', () => import('./commands/start.ts')),
  entry(machines, 'stop', 'MACHINE…', 'stop machines', () => import('./commands/stop.ts')),
  entry(machines, 'restart', 'MACHINE…', 'restart running machines', () => import('./commands/restart.ts')),
  entry(machines, 'pause', 'MACHINE…', 'pause machines', () => import('./commands/pause.ts')),
  entry(machines, 'resume', 'MACHINE…', 'resume paused machines', () => import('./commands/resume.ts')),
  entry(
    machines,
    'wait',
    'MACHINE --status STATUS',
    'wait until a machine has a status',
    () => import('./commands/wait.ts'),
  ),
  entry(
    machines,
    'console',
    'MACHINE',
    'show what a machine’s console printed',
    () => import('./commands/console.ts'),
    { aliases: ['logs'] },
  ),
  entry(machines, 'rm', 'MACHINE…', 'remove machines', () => import('./commands/rm.ts')),
  entry(machines, 'prune', '', 'remove stopped and failed machines', () => import('./commands/prune.ts')),
  nounEntry(
    'images',
    'COMMAND',
    'root file systems that machines start from: ls, get, import, rm',
    () => import('./commands/images.ts'),
  ),
  nounEntry('keys', 'COMMAND', 'keys of the API: create, ls, revoke', () => import('./commands/keys.ts')),
  nounEntry(
    'operations',
    'COMMAND',
    'what is under way, and why it failed: ls, get',
    () => import('./commands/operations.ts'),
    { aliases: ['ops'] },
  ),
  entry(host, 'up', '', 'set up, start the daemon and a first machine', null),
  entry(host, 'setup', '', 'install what is missing, start nothing', null),
  entry(host, 'serve', '', 'run the daemon in the foreground', null),
  entry(host, 'down', '', 'stop the daemon; machines keep running', null),
  entry(host, 'doctor', '', 'check this host: what works, what is missing, what is inconsistent', null),
  entry(host, 'gc', '', 'remove disks of unknown machines that were put aside', null),
  entry(host, 'bench', 'boot|exec|api|hostile', 'measure this host in ratios', null),
  entry(
    other,
    'profile',
    'COMMAND',
    'which daemon and key to use: set, use, ls, show, rm',
    () => import('./commands/profile.ts'),
  ),
  entry(
    other,
    'completion',
    'SHELL',
    'a script that completes commands in bash, zsh or fish',
    () => import('./commands/completion.ts'),
  ),
  entry(
    other,
    'version',
    '',
    'versions of this program and of the daemon',
    () => import('./commands/version.ts'),
  ),
];

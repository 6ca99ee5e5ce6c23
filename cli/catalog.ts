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
  const defaults = { aliases: [], failureCode: exitCodes.failed, noun: machineNoun };
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
const nouns = 'What goes with them:';
const host = 'This host (run by the ./flotilla launcher):';
const other = 'Other:';

const infrastructure = { failureCode: exitCodes.infrastructure };

export const catalog: readonly CatalogEntry[] = [
  entry(
    commands,
    'run',
    'IMAGE -- CMD…',
    'make a machine, run CMD in it, remove it',
    () => import('./commands/run.ts'),
    infrastructure,
  ),
  entry(
    commands,
    'exec',
    'MACHINE -- CMD…',
    'run CMD in a running machine',
    () => import('./commands/exec.ts'),
    infrastructure,
  ),
  entry(machines, 'create', '[IMAGE]', 'make a machine', () => import('./commands/create.ts')),
  entry(machines, 'ls', '', 'list machines', () => import('./commands/ls.ts')),
  entry(machines, 'get', 'MACHINE', 'show one machine', () => import('./commands/get.ts')),
  entry(machines, 'start', 'MACHINE…', 'start machines', () => import('./commands/start.ts')),
  entry(machines, 'stop', 'MACHINE…', 'stop machines', () => import('./commands/stop.ts')),
  entry(machines, 'restart', 'MACHINE…', 'restart running machines', () => import('./commands/restart.ts')),
  entry(machines, 'pause', 'MACHINE…', 'let machines stand still', () => import('./commands/pause.ts')),
  entry(machines, 'resume', 'MACHINE…', 'let paused machines go on', () => import('./commands/resume.ts')),
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
  ),
  entry(machines, 'rm', 'MACHINE…', 'remove machines', () => import('./commands/rm.ts')),
  nounEntry(
    'images',
    'COMMAND',
    'what disks are made from: ls, get, import, rm',
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
  entry(host, 'down', '', 'stop the daemon; --machines stops the machines too', null),
  entry(host, 'doctor', '', 'say what works here, what is missing and what is wrong; --json, --deep', null),
  entry(host, 'gc', '', 'remove disks of unknown machines that were put aside; --dry-run', null),
  entry(host, 'bench', 'boot|exec|api|hostile', 'measure this host in ratios; --json, --samples N', null),
  entry(
    other,
    'profile',
    'COMMAND',
    'the daemon and the key to use: set, show, rm',
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

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

/** The command that was given, for hints. */
export interface Invocation {
  readonly noun: Noun;
  /** The command that explains it: `flotilla images import --help`. */
  readonly help: string;
}

export interface CatalogEntry {
  readonly name: string;
  readonly aliases: readonly string[];
  /** What follows the name. */
  readonly terms: string;
  /** Names of commands below it, where `terms` are those of one that needs no name. */
  readonly below?: readonly string[];
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
const nouns = 'Beside machines:';
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
  entry(
    commands,
    'attach',
    'MACHINE [EXEC]',
    'attach to a command that runs',
    () => import('./commands/attach.ts'),
    { failureCode: exitCodes.infrastructure },
  ),
  entry(
    commands,
    'execs',
    'MACHINE',
    'list the commands of a machine, or manage them: get, logs, wait, kill, rm',
    () => import('./commands/execs.ts'),
    { below: ['ls', 'get', 'logs', 'wait', 'kill', 'rm'] },
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
    'change labels, lifetime, policies; size while stopped',
    () => import('./commands/update.ts'),
  ),
  entry(
    machines,
    'rename',
    'MACHINE NAME',
    'give a machine another name',
    () => import('./commands/rename.ts'),
  ),
  entry(
    machines,
    'publish',
    'MACHINE PORT…',
    'let ports of this host lead to a machine',
    () => import('./commands/publish.ts'),
  ),
  entry(
    machines,
    'unpublish',
    'MACHINE PORT…',
    'withdraw published ports',
    () => import('./commands/unpublish.ts'),
  ),
  entry(
    machines,
    'ports',
    'MACHINE',
    'list the published ports of a machine',
    () => import('./commands/ports.ts'),
    { aliases: ['port'] },
  ),
  entry(
    machines,
    'denied',
    'MACHINE',
    'show what a machine was not allowed to reach',
    () => import('./commands/denied.ts'),
  ),
  entry(machines, 'start', 'MACHINE…', 'start machines', () => import('./commands/start.ts')),
  entry(machines, 'stop', 'MACHINE…', 'stop machines', () => import('./commands/stop.ts')),
  entry(machines, 'restart', 'MACHINE…', 'restart running machines', () => import('./commands/restart.ts')),
  entry(machines, 'pause', 'MACHINE…', 'pause machines', () => import('./commands/pause.ts')),
  entry(machines, 'resume', 'MACHINE…', 'resume paused machines', () => import('./commands/resume.ts')),
  entry(
    machines,
    'suspend',
    'MACHINE…',
    'save machines’ memory and free it',
    () => import('./commands/suspend.ts'),
  ),
  entry(
    machines,
    'fork',
    'MACHINE',
    'make machines that go on from this moment of one',
    () => import('./commands/fork.ts'),
  ),
  entry(
    machines,
    'wait',
    'MACHINE --status STATUS',
    'wait until a machine has a status',
    () => import('./commands/wait.ts'),
  ),
  entry(machines, 'console', 'MACHINE', 'print a machine’s console', () => import('./commands/console.ts'), {
    aliases: ['logs'],
  }),
  entry(
    machines,
    'stats',
    '[MACHINE…]',
    'show what machines use: processors, memory, disk',
    () => import('./commands/stats.ts'),
    { aliases: ['top'] },
  ),
  entry(
    machines,
    'cp',
    'SOURCE DEST',
    'copy files and trees to a machine, from one, or between two',
    () => import('./commands/cp.ts'),
  ),
  entry(
    machines,
    'ssh',
    'MACHINE [CMD…]',
    'a shell or a command in a machine, with OpenSSH’s client',
    () => import('./commands/ssh.ts'),
    ofCommands,
  ),
  entry(
    machines,
    'ssh-config',
    '[MACHINE…]',
    'print what ssh, scp, rsync and editors need to reach machines',
    () => import('./commands/ssh-config.ts'),
  ),
  entry(
    machines,
    'port-forward',
    'MACHINE [LOCAL:]REMOTE…',
    'forward ports of this host to ports in a machine',
    () => import('./commands/port-forward.ts'),
  ),
  entry(machines, 'rm', '[MACHINE…]', 'remove machines', () => import('./commands/rm.ts')),
  entry(machines, 'prune', '', 'remove stopped and failed machines', () => import('./commands/prune.ts')),
  nounEntry(
    'env',
    'COMMAND',
    'manage groups of machines from a file: create, ls, get, extend, stop, start, rm',
    () => import('./commands/env.ts'),
    { noun: { plural: 'environments', listing: 'flotilla env ls' } },
  ),
  nounEntry(
    'images',
    'COMMAND',
    'manage root file systems that machines start from: ls, get, import, rm',
    () => import('./commands/images.ts'),
  ),
  nounEntry(
    'routes',
    'COMMAND',
    'manage names in the reverse proxy’s domain: add, ls, update, rm',
    () => import('./commands/routes.ts'),
  ),
  nounEntry('ssh-keys', 'COMMAND', 'manage SSH keys: add, ls, rm', () => import('./commands/ssh-keys.ts'), {
    noun: { plural: 'SSH keys', listing: 'flotilla ssh-keys ls' },
  }),
  nounEntry(
    'templates',
    'COMMAND',
    'manage what machines have in common: create, ls, get, rm',
    () => import('./commands/templates.ts'),
  ),
  nounEntry(
    'snapshots',
    'COMMAND',
    'manage disks and memory of one moment: create, ls, get, restore, rm',
    () => import('./commands/snapshots.ts'),
    { aliases: ['snapshot'] },
  ),
  nounEntry(
    'keys',
    'COMMAND',
    'manage keys of the API: create, ls, revoke',
    () => import('./commands/keys.ts'),
  ),
  nounEntry(
    'quotas',
    'COMMAND',
    'manage the limits of tenants: ls, get, set, rm',
    () => import('./commands/quotas.ts'),
  ),
  nounEntry(
    'operations',
    'COMMAND',
    'show what is under way, and why something failed: ls, get',
    () => import('./commands/operations.ts'),
    { aliases: ['ops'] },
  ),
  entry(host, 'up', '', 'set up, start the daemon and a first machine', null),
  entry(host, 'setup', '', 'install what is missing, start nothing', null),
  entry(host, 'kernel', 'COMMAND', 'manage the kernels that guests boot: build, ls, use, rm', null),
  entry(host, 'serve', '', 'run the daemon in the foreground', null),
  entry(host, 'down', '', 'stop the daemon; machines keep running', null),
  entry(host, 'doctor', '', 'check this host: what works, what is missing, what is inconsistent', null),
  entry(host, 'gc', '', 'remove the quarantined disks of unknown machines', null),
  entry(
    host,
    'bench',
    'WHAT',
    'measure this host’s speed in ratios: boot, exec, snapshot, fork and others',
    null,
  ),
  entry(
    other,
    'profile',
    'COMMAND',
    'choose the daemon and key to use: set, use, ls, show, rm',
    () => import('./commands/profile.ts'),
  ),
  entry(
    other,
    'mcp',
    '',
    'offer the daemon’s tools to an AI client, over stdin and stdout',
    () => import('./commands/mcp.ts'),
  ),
  entry(
    other,
    'completion',
    'SHELL',
    'print a script that completes commands in bash, zsh or fish',
    () => import('./commands/completion.ts'),
  ),
  entry(
    other,
    'version',
    '',
    'print the versions of this program and of the daemon',
    () => import('./commands/version.ts'),
  ),
];

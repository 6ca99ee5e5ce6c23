/**
 * Checks the host: system, user, Node, packages, memory, disk space. Facts are gathered first and judged
 * separately.
 */
import { readFile, statfs } from 'node:fs/promises';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';
import { isAppError } from '../../core/errors.ts';
import { runJailed } from '../../lib/jail.ts';
import type { SetupContext } from '../context.ts';
import { readDistro } from '../distro.ts';
import { missingPackages } from '../packages.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** Required to run machines; other packages are only for set-up. util-linux contains prlimit and setpriv. */
const runtimePackages = ['qemu-system-x86', 'qemu-utils', 'util-linux'];
const nodeMajor = 24;
/** The least that a small machine and its VMM need in addition to the host. */
const memoryMibLow = 256;
/** Below this, guests that write are paused; see core/reconcile/plan.ts. */
const stateMibMin = 64;
const spaceMibLow = 1024;
const mib = 1024 * 1024;

export interface Space {
  readonly path: string;
  readonly freeMib: number;
}

export interface HostFacts {
  readonly system:
    | { readonly title: string; readonly isProved: boolean }
    | { readonly trouble: string; readonly hint: string | undefined };
  readonly isRoot: boolean;
  /** Why no jail for unpacking images can be made; null when it can, or when not root. */
  readonly jailTrouble: string | null;
  readonly nodeVersion: string;
  /** Null when there is no package database. */
  readonly missingPackages: readonly string[] | null;
  readonly memory: { readonly totalMib: number; readonly availableMib: number };
  readonly state: Space;
  readonly cache: Space;
}

/** Inspects this host; runs dpkg-query, changes nothing. */
export async function readHostFacts(context: SetupContext, stateDir: string): Promise<HostFacts> {
  const isRoot = process.geteuid?.() === 0;
  const [system, jailTrouble, missing, memory, state, cache] = await Promise.all([
    readSystem(),
    isRoot ? readJailTrouble(context) : null,
    missingPackages(context, false).catch((error: unknown) => {
      if (isAppError(error, 'unsupported')) return null;
      throw error;
    }),
    readMemory(),
    readSpace(stateDir),
    readSpace(context.cache.root),
  ]);
  return {
    system,
    isRoot,
    jailTrouble,
    nodeVersion: process.versions.node,
    missingPackages: missing,
    memory,
    state,
    cache,
  };
}

/** Judges the facts. Pure. */
export function checkHost(facts: HostFacts): readonly Finding[] {
  return [
    checkSystem(facts.system),
    facts.isRoot
      ? ok('user', 'root')
      : warn(
          'user',
          'not root: every VMM runs as your own user and reaches all that is yours, no image can be imported, and set-up cannot be done',
          'Run ./flotilla as root.',
        ),
    Number.parseInt(facts.nodeVersion, 10) === nodeMajor
      ? ok('node', facts.nodeVersion)
      : fail('node', `${facts.nodeVersion}, and ${nodeMajor} is needed`, 'Start it with ./flotilla.'),
    ...(facts.jailTrouble === null
      ? []
      : [warn('imports', `no image can be imported: ${facts.jailTrouble}`, jailHint)]),
    ...checkPackages(facts.missingPackages),
    checkMemory(facts.memory),
    checkSpace('state space', facts.state, stateMibMin, 'FLOTILLA_STATE_DIR'),
    checkSpace('cache space', facts.cache, 0, 'FLOTILLA_CACHE_DIR'),
  ];
}

function checkSystem(system: HostFacts['system']): Finding {
  if ('trouble' in system) return warn('system', system.trouble, system.hint);
  if (system.isProved) return ok('system', system.title);
  return warn('system', `${system.title}: set-up is proved on Debian 12, here it does its best`);
}

function checkPackages(missing: HostFacts['missingPackages']): readonly Finding[] {
  if (missing === null) {
    return [warn('packages', 'dpkg-query does not work here, so packages are not known')];
  }
  if (missing.length === 0) return [ok('packages', 'all installed')];
  return missing.map((name) => {
    const hint = `./flotilla setup, or: apt-get install ${name}`;
    return runtimePackages.includes(name)
      ? fail('packages', `${name} is missing, and machines cannot run without it`, hint)
      : warn('packages', `${name} is missing; set-up needs it`, hint);
  });
}

function checkMemory({ totalMib, availableMib }: HostFacts['memory']): Finding {
  const message = `${availableMib} of ${totalMib} MiB available`;
  if (availableMib >= memoryMibLow) return ok('memory', message);
  return warn('memory', `${message}: little for machines`, 'Stop machines or other programs.');
}

function checkSpace(subject: string, space: Space, mibMin: number, variable: string): Finding {
  const message = `${space.freeMib} MiB free for ${space.path}`;
  const hint = `Free some space there, or set ${variable} to a directory on a larger disk.`;
  if (space.freeMib < mibMin) return fail(subject, `${message}: guests that write are paused`, hint);
  if (space.freeMib < spaceMibLow) return warn(subject, message, hint);
  return ok(subject, message);
}

const jailHint = 'Archives are unpacked in a user namespace: in a container, allow it to make them.';

async function readJailTrouble({ env, signal }: SetupContext): Promise<string | null> {
  try {
    await runJailed('true', [], { cwd: '/', env, signal, timeoutMs: 10_000, fileBytesMax: 0 });
    return null;
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof Error ? error.message : String(error);
  }
}

async function readSystem(): Promise<HostFacts['system']> {
  try {
    return await readDistro();
  } catch (error) {
    if (isAppError(error, 'unsupported')) return { trouble: error.message, hint: error.hint };
    throw error;
  }
}

async function readMemory(): Promise<HostFacts['memory']> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const availableKib = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1]);
  return { totalMib: Math.floor(totalmem() / mib), availableMib: Math.floor(availableKib / 1024) };
}

/** Free space of the file system that contains the path, or will when it is made. */
async function readSpace(path: string, place = path): Promise<Space> {
  const facts = await statfs(place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' && dirname(place) !== place) return null;
    throw error;
  });
  if (facts === null) return readSpace(path, dirname(place));
  return { path, freeMib: Math.floor((facts.bavail * facts.bsize) / mib) };
}

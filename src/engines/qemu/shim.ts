/** Starts a VMM through the launch shim (launch-shim/main.go), which confines it and reports how it ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, open } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';
import { abortable } from '../../lib/abort.ts';
import { readProcessStat } from '../../lib/procfs.ts';
import type { Confinement } from './confine.ts';
import type { ShimHost } from './jail.ts';
import type { Spawned } from './spawn.ts';

/** `{"pid":4194304}` and some reserve. */
const answerBytesMax = 64;
/** Makes the kernel kill a VMM before this daemon, whose death would leave all VMMs unattended. */
const oomScoreAdj = 200;

/** The shim's input; see spec.go. */
export interface ShimSpec {
  readonly argv: readonly string[];
  readonly uid: number | null;
  readonly groups: readonly number[];
  readonly fileBytesMax: number;
  readonly oomScoreAdj: number;
  readonly cgroupFiles: readonly string[];
  readonly cwd: string;
  readonly statusFile: string;
  readonly diesWithShim: boolean;
  readonly jail: {
    readonly root: string;
    readonly userNamespace: boolean;
    readonly readOnly: readonly string[];
    readonly writable: readonly string[];
  };
  readonly taps: readonly { readonly name: string; readonly netns: string | null }[];
}

export interface ShimRequest {
  readonly argv: readonly string[];
  readonly confinement: Pick<Confinement, 'uid' | 'groups' | 'fileBytesMax'>;
  readonly cgroupFiles: readonly string[];
  readonly cwd: string;
  /** Empty: the exit status is not written. */
  readonly statusFile: string;
  /** Ends the VMM together with the shim; for a VMM that a caller waits for. */
  readonly diesWithShim: boolean;
  /** An empty directory. */
  readonly root: string;
  readonly readOnly: readonly string[];
  readonly writable: readonly string[];
  /** Tap devices that the shim opens for the VMM. Absent: none. */
  readonly taps?: ShimSpec['taps'];
}

/** The line that the shim reads first. Pure. */
export function shimSpec(host: ShimHost, request: ShimRequest): string {
  const { root, readOnly, writable, confinement, taps = [], ...rest } = request;
  const spec: ShimSpec = {
    ...rest,
    taps,
    uid: confinement.uid,
    groups: confinement.groups,
    fileBytesMax: confinement.fileBytesMax,
    oomScoreAdj,
    jail: {
      root,
      userNamespace: host.userNamespace,
      readOnly: [...host.readOnly, ...readOnly],
      writable,
    },
  };
  return `${JSON.stringify(spec)}\n`;
}

/** The byte after the line: the process is recorded and may become the VMM. */
export const goByte = 'g';

/**
 * Starts the shim; resolves with the process that waits to become the VMM. `release` lets it do so; it exits
 * when the daemon ends first or calls `abandon`. Rejects with the system's error, and `engine` when the shim
 * fails.
 */
export async function spawnShim(
  host: ShimHost,
  request: ShimRequest,
  logFile: string,
  signal: AbortSignal,
): Promise<Spawned> {
  const log = await open(logFile, constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW);
  let child: ChildProcess;
  try {
    child = spawn(host.shim, [], { cwd: '/', env: {}, detached: true, stdio: ['pipe', 'pipe', log.fd] });
    await once(child, 'spawn');
  } finally {
    await log.close();
  }
  // Errors after the start only concern signals sent through the child object, which we do not send; the end
  // of the shim is detected separately.
  child.on('error', () => undefined);
  child.stdin?.on('error', () => undefined);
  child.unref();
  try {
    child.stdin?.write(shimSpec(host, request));
    const pid = await abortable(readPid(child), signal);
    const stat = readProcessStat(pid);
    if (stat === null) throw new AppError('engine', 'the launch shim exited at once');
    return {
      child,
      identity: { pid, startTime: stat.startTime },
      isVmm: false,
      release: () => void child.stdin?.end(goByte),
      abandon: () => void child.stdin?.destroy(),
    };
  } catch (error) {
    child.stdin?.destroy();
    throw error;
  } finally {
    child.stdout?.destroy();
  }
}

async function readPid(child: ChildProcess): Promise<number> {
  let said = '';
  for await (const chunk of child.stdout ?? []) {
    said += String(chunk);
    const pid = /^\{"pid":(\d+)\}\n/.exec(said)?.[1];
    if (pid !== undefined) return Number(pid);
    if (said.length > answerBytesMax) break;
  }
  throw new AppError('engine', 'the launch shim did not start the VMM');
}

/**
 * Observes the recorded machines from processes and files alone. It does not ask VMMs: QEMU serves one
 * control client at a time, which is the daemon, and that may be starting at this moment. So a guest counts
 * as running unless it is recorded as paused or as waiting for space.
 */
import type { Machine } from '../../core/machines/machine.ts';
import type { Disks } from '../../core/ports/disks.ts';
import { type EngineDriver, type EngineStatus, pausedOnRequest } from '../../core/ports/engine.ts';
import { diskFullCode, isAtRest, type Observed } from '../../core/reconcile/plan.ts';
import { diedFacts } from '../../engines/qemu/exit-facts.ts';
import { findVmms } from '../../engines/qemu/processes.ts';
import { RunDirectory } from '../../engines/qemu/run-directory.ts';
import { readBootId } from '../../lib/procfs.ts';
import type { StateLayout } from '../../storage/layout.ts';

/** Limit in case a file system hangs. */
const lookTimeoutMs = 15_000;

export interface Sources {
  readonly layout: StateLayout;
  readonly hostId: string;
  readonly driver: Pick<EngineDriver, 'kind' | 'list'>;
  readonly disks: Pick<Disks, 'freeMib' | 'list'>;
  readonly isDaemonRunning: boolean;
}

/** Changes nothing and connects to nothing. */
export async function observeQuietly(sources: Sources, machines: readonly Machine[]): Promise<Observed> {
  const { layout, hostId, driver, disks } = sources;
  const signal = AbortSignal.timeout(lookTimeoutMs);
  const alive = new Set((await findVmms(layout)).map(({ incarnation }) => incarnation));
  const statuses = new Map<string, EngineStatus>();
  const strays = new Set<string>();
  for (const machine of machines) {
    const { incarnation } = machine;
    if (incarnation === null || machine.spec.engine !== driver.kind) continue;
    if (isAtRest(machine) && alive.has(incarnation)) strays.add(incarnation);
    statuses.set(
      incarnation,
      alive.has(incarnation) ? statusOfLiving(machine) : await statusOfDead(layout, incarnation),
    );
  }
  return {
    hostId,
    bootId: readBootId(),
    freeMib: await freeMib(disks, signal),
    statuses,
    strays,
    incarnations: new Map([[driver.kind, await driver.list(signal)]]),
    disks: await disks.list(signal),
    // Only the daemon asks the host's network.
    attached: null,
    behind: new Set(),
  };
}

function statusOfLiving({ state, failure }: Machine): EngineStatus {
  if (state === 'paused') return { state: 'paused', reason: pausedOnRequest };
  return failure?.code === diskFullCode ? { state: 'paused', reason: diskFullCode } : { state: 'running' };
}

async function statusOfDead(layout: StateLayout, incarnation: string): Promise<EngineStatus> {
  const directory = new RunDirectory(layout, incarnation);
  if (!(await directory.exists())) return { state: 'absent' };
  const facts = (await directory.readExit()) ?? diedFacts(null, null, await directory.logTail());
  return { state: 'exited', facts };
}

/** Without a directory for disks there is no free space either. */
function freeMib(disks: Pick<Disks, 'freeMib'>, signal: AbortSignal): Promise<number> {
  return disks.freeMib(signal).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return 0;
    throw error;
  });
}

/** The driver's own part of an EngineHandle. */
import type { EngineHandle } from '../../core/ports/engine.ts';
import { type ProcessIdentity, readBootId } from '../../lib/procfs.ts';
import { objectAt } from './qmp-messages.ts';
import type { RunDirectory, VmmRecord } from './run-directory.ts';

export const qemuKind = 'qemu';
const version = 1;

export function makeHandle(
  directory: RunDirectory,
  identity: ProcessIdentity,
  { kernelArgs, restoredFrom }: Pick<VmmRecord, 'kernelArgs' | 'restoredFrom'>,
): EngineHandle {
  return {
    engine: qemuKind,
    version,
    incarnation: directory.incarnation,
    guest: { transport: 'virtio-serial', path: directory.agentSocket },
    pid: identity.pid,
    controlSocket: directory.qmpSocket,
    kernelArgs,
    restoredFrom,
    data: { startTime: identity.startTime, bootId: readBootId() },
  };
}

/**
 * The process that a handle names; null when the host has rebooted since, so that it cannot exist any more.
 */
export function identityOf(handle: EngineHandle): ProcessIdentity | null {
  const { startTime, bootId } = objectAt(handle, 'data');
  if (handle.pid === null || typeof startTime !== 'string' || bootId !== readBootId()) return null;
  return { pid: handle.pid, startTime };
}

/**
 * Copies a guest's memory and disk of one moment while the guest goes on. The guest is paused while its memory is sent; under
 * KVM QEMU sends it while the guest runs, and pauses it for the last part. Then a backup job is started, which from that
 * moment on keeps the old content of whatever the guest overwrites, and the guest goes on. A guest that was paused stays
 * paused.
 *
 * Under TCG, QEMU 7.2 misses pages that the guest changes while its memory is sent: three of eight restored guests
 * panicked with a damaged heap.
 */
import { rm } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';
import { abortable, sleep } from '../../lib/abort.ts';
import { isOutOfSpace } from '../../lib/files.ts';
import type { QmpClient } from './qmp.ts';
import { isObject } from './qmp-messages.ts';
import { manifestFile } from './saved-state.ts';
import {
  cancelMigration,
  commandTimeoutMs,
  completeState,
  type Migration,
  overheadBytesMax,
  requirePausable,
  type SaveRequest,
  statusOf,
  transferState,
} from './saving.ts';

const job = 'flotilla-capture';
const targetNode = 'flotilla-capture-target';
/** QEMU's name of the root disk; see command-line.ts. */
const rootDisk = 'disk0';

/** QEMU pauses the guest when the rest of its memory takes no longer than this. */
const downtimeMs = 20;
/** A guest that changes its memory faster than it is sent is paused after this long, or after this many times its memory. */
const liveMsMax = 10_000;
const liveTimesMax = 2;
/** QEMU's maximum: pause it now, however long the rest takes. */
const anyDowntimeMs = 2_000_000;
/** What a job copies until it has been paused. */
const firstBytesPerSecond = 1024 * 1024;
const jobPollMs = 5;
/** A cancelled job ends when its open requests have. */
const cancelTimeoutMs = 4_000;

export interface CaptureRequest {
  /** Null: the disk alone, as if the power had failed. */
  readonly memory: SaveRequest | null;
  /** A qcow2 file in the run directory with the size and base of the root disk, and no content. */
  readonly diskTarget: string;
}

/**
 * When it resolves, the guest is as it was, the memory is in its directory, durably, and the disk in the target, not
 * durably. When it rejects, the guest goes on likewise, and the directory has no manifest. Raises `engine`, `exhausted`
 * when the host's disk is full, and the signal's reason. Resolves with the milliseconds for which a running guest stood still.
 */
export async function captureState(
  qmp: QmpClient,
  { memory, diskTarget }: CaptureRequest,
  signal: AbortSignal,
): Promise<number> {
  if (memory) await rm(manifestFile(memory.directory), { force: true });
  const wasRunning = (await statusOf(qmp)) === 'running';
  if (!wasRunning) await requirePausable(qmp);
  await clearRemains(qmp);
  let stateBytes: number | null = null;
  let pausedMs = 0;
  try {
    if (memory) {
      let sinceMs = performance.now();
      if (wasRunning && isOnKvm(memory)) {
        const sent = await sendLive(qmp, memory, signal);
        stateBytes = sent.stateBytes;
        sinceMs = performance.now() - sent.pausedMs;
      } else {
        if (wasRunning) await qmp.execute('stop', {}, commandTimeoutMs);
        stateBytes = await sendPaused(qmp, memory, signal);
      }
      // Not earlier: the end of a migration makes all disks read-only until the guest goes on.
      await addTarget(qmp, diskTarget);
      await startJob(qmp);
      await pauseJob(qmp, signal);
      if (wasRunning) await qmp.execute('cont', {}, commandTimeoutMs);
      pausedMs = wasRunning ? performance.now() - sinceMs : 0;
    } else {
      await addTarget(qmp, diskTarget);
      await startJob(qmp);
    }
    await letJobRun(qmp, memory !== null);
    await jobEnded(qmp, signal);
  } catch (error) {
    await goOnAgain(qmp, wasRunning);
    signal.throwIfAborted();
    throw isOutOfSpace(error) ? noSpace(error) : error;
  }
  await removeTarget(qmp);
  if (memory && stateBytes !== null) await completeState(memory, stateBytes, signal);
  return pausedMs;
}

/** Ends what a daemon that died has left of a capture; the guest goes on if it `isRunning` otherwise. */
export async function abandonCapture(qmp: QmpClient, isRunning: boolean): Promise<void> {
  await cancelMigration(qmp).catch(() => undefined);
  await clearRemains(qmp);
  const isHeld = ['postmigrate', 'paused'].includes(String(await statusOf(qmp)));
  if (isRunning && isHeld) await qmp.execute('cont', {}, commandTimeoutMs);
}

/** After a failure, whose error is worth more than that QEMU does not answer either. */
async function goOnAgain(qmp: QmpClient, isRunning: boolean): Promise<void> {
  await abandonCapture(qmp, isRunning).catch(() => undefined);
}

/** Only then a state depends on the host's processor. */
function isOnKvm({ facts }: SaveRequest): boolean {
  return facts.processor !== null;
}

async function sendPaused(qmp: QmpClient, memory: SaveRequest, signal: AbortSignal) {
  const bytesMax = memory.memoryMib * 1024 * 1024 + overheadBytesMax;
  return await transferState(qmp, memory, { bytesMax }, signal);
}

async function sendLive(qmp: QmpClient, memory: SaveRequest, signal: AbortSignal) {
  const memoryBytes = memory.memoryMib * 1024 * 1024;
  const sinceMs = performance.now();
  let pausedMs = 0;
  let isUrged = false;
  const onProgress = async (migration: Migration) => {
    const isLate =
      performance.now() - sinceMs > liveMsMax || sentBytes(migration) > liveTimesMax * memoryBytes;
    if (!isLate || isUrged) return;
    isUrged = true;
    await allowDowntime(qmp, anyDowntimeMs);
  };
  await allowDowntime(qmp, downtimeMs);
  const bytesMax = (liveTimesMax + 2) * memoryBytes + overheadBytesMax;
  const stateBytes = await transferState(qmp, memory, { bytesMax, onProgress }, signal);
  pausedMs = await downtimeOf(qmp);
  return { stateBytes, pausedMs };
}

async function allowDowntime(qmp: QmpClient, milliseconds: number): Promise<void> {
  await qmp.execute('migrate-set-parameters', { 'downtime-limit': milliseconds }, commandTimeoutMs);
}

function sentBytes({ ram }: Migration): number {
  const transferred = isObject(ram) ? ram.transferred : 0;
  return typeof transferred === 'number' ? transferred : 0;
}

/** As QEMU has measured it, until the last byte was sent. */
async function downtimeOf(qmp: QmpClient): Promise<number> {
  const answer = await qmp.execute('query-migrate', {}, commandTimeoutMs);
  const downtime = isObject(answer) ? answer.downtime : 0;
  return typeof downtime === 'number' ? downtime : 0;
}

async function addTarget(qmp: QmpClient, path: string): Promise<void> {
  const file = { driver: 'file', filename: path };
  // Its base is needed only by those who read it later.
  const node = { driver: 'qcow2', 'node-name': targetNode, backing: null, file };
  await qmp.execute('blockdev-add', node, commandTimeoutMs);
}

async function removeTarget(qmp: QmpClient): Promise<void> {
  await qmp.execute('blockdev-del', { 'node-name': targetNode }, commandTimeoutMs);
}

async function startJob(qmp: QmpClient): Promise<void> {
  await qmp.execute(
    'blockdev-backup',
    {
      ...{ 'job-id': job, device: rootDisk, target: targetNode, sync: 'top' },
      ...{ speed: firstBytesPerSecond, 'auto-dismiss': false },
      // A target without space must not stop the guest.
      'on-target-error': 'report',
    },
    commandTimeoutMs,
  );
}

/** After a migration, QEMU opens the disk anew when its guest goes on, and a job that reads it meanwhile would fail. */
async function pauseJob(qmp: QmpClient, signal: AbortSignal): Promise<void> {
  const { status } = await jobOf(qmp);
  if (hasEnded(status)) return;
  await qmp.execute('job-pause', { id: job }, commandTimeoutMs);
  for (;;) {
    const now = (await abortable(jobOf(qmp), signal)).status;
    if (now === 'paused' || hasEnded(now)) return;
    await sleep(1, signal);
  }
}

async function letJobRun(qmp: QmpClient, isPaused: boolean): Promise<void> {
  if (hasEnded((await jobOf(qmp)).status)) return;
  await qmp.execute('block-job-set-speed', { device: job, speed: 0 }, commandTimeoutMs);
  if (isPaused) await qmp.execute('job-resume', { id: job }, commandTimeoutMs);
}

async function jobEnded(qmp: QmpClient, signal: AbortSignal): Promise<void> {
  for (;;) {
    const { status, error } = await abortable(jobOf(qmp), signal);
    if (hasEnded(status)) {
      await dismiss(qmp);
      if (error === undefined) return;
      throw /No space left/.test(String(error))
        ? noSpace(error)
        : new AppError('engine', `QEMU did not copy the disk: ${String(error)}`);
    }
    await sleep(jobPollMs, signal);
  }
}

interface Job {
  /** Null: there is none. */
  readonly status: string | null;
  readonly error?: unknown;
}

async function jobOf(qmp: QmpClient): Promise<Job> {
  const answer = await qmp.execute('query-jobs', {}, commandTimeoutMs);
  const jobs = Array.isArray(answer) ? answer.filter(isObject) : [];
  const found = jobs.find(({ id }) => id === job);
  if (found === undefined) return { status: null };
  return { status: String(found.status), error: found.error };
}

function hasEnded(status: string | null): boolean {
  return status === null || status === 'concluded';
}

async function dismiss(qmp: QmpClient): Promise<void> {
  if ((await jobOf(qmp)).status !== null) await qmp.execute('job-dismiss', { id: job }, commandTimeoutMs);
}

/** Ends the job and closes its target, if there are any. */
async function clearRemains(qmp: QmpClient): Promise<void> {
  const signal = AbortSignal.timeout(cancelTimeoutMs);
  const { status } = await jobOf(qmp);
  if (!hasEnded(status)) {
    await qmp.execute('job-cancel', { id: job }, commandTimeoutMs);
    while (!hasEnded((await abortable(jobOf(qmp), signal)).status)) await sleep(jobPollMs, signal);
  }
  await dismiss(qmp);
  const nodes = await qmp.execute('query-named-block-nodes', { flat: true }, commandTimeoutMs);
  const isThere =
    Array.isArray(nodes) && nodes.filter(isObject).some((node) => node['node-name'] === targetNode);
  if (isThere) await removeTarget(qmp);
}

function noSpace(cause: unknown): AppError {
  return new AppError('exhausted', 'no space left for the snapshot', {
    cause,
    hint: 'Free some space in the state directory, or delete snapshots or machines.',
  });
}

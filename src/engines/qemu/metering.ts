/**
 * What a VMM and its guest have used, asked from QEMU. The guest reports its memory through the balloon device, and only
 * while QEMU polls it: a guest that is polled all the time would never sleep long, so it is polled once for each measuring.
 * Everything may come from a guest that lies: a value that cannot be is not measured.
 */
import type { EngineUsage, GuestMemory } from '../../core/ports/engine.ts';
import { abortable, sleep } from '../../lib/abort.ts';
import type { ProcessStat } from '../../lib/procfs.ts';
import type { QmpClient } from './qmp.ts';
import { isObject, type JsonObject, objectAt } from './qmp-messages.ts';

/** The balloon's path in QEMU's object tree; `command-line.ts` gives it this id. */
const balloonPath = '/machine/peripheral/balloon0';
/** How long a guest may take to report; one that runs needs a few milliseconds. */
const reportMs = 250;
const lookAgainMs = 10;
/** Larger numbers are QEMU's way to say that the guest did not report one (2^64 - 1). */
const bytesMax = Number.MAX_SAFE_INTEGER;

/** Raises `timeout` and `engine` of the client, and the signal's reason. */
export async function askUsage(
  qmp: QmpClient,
  stat: ProcessStat,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<EngineUsage> {
  const execute: Execute = (command, args, until) => abortable(qmp.execute(command, args, timeoutMs), until);
  const blocks = await execute('query-blockstats', {}, signal);
  return {
    processorTimeMs: stat.processorTimeMs,
    memoryBytes: stat.residentBytes,
    diskReadBytes: sumOf(blocks, 'rd_bytes'),
    diskWriteBytes: sumOf(blocks, 'wr_bytes'),
    diskReads: sumOf(blocks, 'rd_operations'),
    diskWrites: sumOf(blocks, 'wr_operations'),
    guestMemory: await askGuestMemory(execute, signal),
  };
}

type Execute = (command: string, args: JsonObject, until: AbortSignal) => Promise<unknown>;

/** Null when the guest does not report in time: it is paused, or has no driver for the balloon. */
async function askGuestMemory(execute: Execute, signal: AbortSignal): Promise<GuestMemory | null> {
  const poll = (seconds: number) => ({
    path: balloonPath,
    property: 'guest-stats-polling-interval',
    value: seconds,
  });
  const askedAtSeconds = Math.floor(Date.now() / 1000);
  const giveUpAtMs = performance.now() + reportMs;
  await execute('qom-set', poll(1), signal);
  try {
    for (;;) {
      const report = await execute('qom-get', { path: balloonPath, property: 'guest-stats' }, signal);
      const reportedAt = isObject(report) ? report['last-update'] : null;
      if (typeof reportedAt === 'number' && reportedAt >= askedAtSeconds)
        return readReport(objectAt(report, 'stats'));
      if (performance.now() >= giveUpAtMs) return null;
      await sleep(lookAgainMs, signal);
    }
  } finally {
    // Also when the caller has left; without a connection, the next measuring ends it.
    await execute('qom-set', poll(0), new AbortController().signal);
  }
}

/** Pure. */
export function readReport(stats: JsonObject): GuestMemory {
  return {
    totalBytes: figure(stats['stat-total-memory']),
    freeBytes: figure(stats['stat-free-memory']),
    availableBytes: figure(stats['stat-available-memory']),
    cacheBytes: figure(stats['stat-disk-caches']),
    majorFaults: figure(stats['stat-major-faults']),
  };
}

function figure(value: unknown): number | null {
  return typeof value === 'number' && value >= 0 && value <= bytesMax ? value : null;
}

type BlockFigure = 'rd_bytes' | 'wr_bytes' | 'rd_operations' | 'wr_operations';

/** Of all disks; null when one does not tell. */
function sumOf(blocks: unknown, name: BlockFigure): number | null {
  if (!Array.isArray(blocks)) return null;
  const figures = blocks.map((block) => objectAt(block, 'stats')[name]);
  return figures.every((each) => typeof each === 'number')
    ? figures.reduce((sum, each) => sum + each, 0)
    : null;
}

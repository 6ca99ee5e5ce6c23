/**
 * What one incarnation has in `run/<incarnation>/`:
 *
 *   vmm.json      which process is its VMM
 *   exit.json     how it ended, written before anything forgets it
 *   console.log   the serial console's end (console-ring.ts)
 *   vmm.log       what the VMM printed
 *   qmp.sock agent.sock   made by the VMM
 *
 * The VMM is not trusted: it may make files here, but the directory and the records belong to the daemon and the sticky
 * bit keeps the VMM from replacing them, so a link it puts in their place cannot lead the daemon astray.
 */
import { chmod, chown, constants, type FileHandle, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExitFacts } from '../../core/ports/engine.ts';
import { ensureDirectory, writeFileAtomic } from '../../lib/files.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { parseExitFacts } from './exit-facts.ts';

/** Which process is an incarnation's VMM. With the boot id, pid and start time name one process for ever. */
export interface VmmRecord {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  readonly incarnation: string;
  readonly machineId: string | null;
  readonly argumentsDigest: string | null;
  readonly qemuVersion: string | null;
}

const incarnationPattern = /^[a-z0-9]{1,32}$/;

function parseRecord(value: unknown, incarnation: string): VmmRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const { pid, startTime, bootId, machineId, argumentsDigest, qemuVersion, ...rest } = value as Record<
    string,
    unknown
  >;
  if (rest.incarnation !== incarnation || typeof pid !== 'number' || !Number.isSafeInteger(pid)) return null;
  if (typeof startTime !== 'string' || typeof bootId !== 'string') return null;
  const text = (field: unknown) => (typeof field === 'string' ? field : null);
  return {
    pid,
    startTime,
    bootId,
    incarnation,
    machineId: text(machineId),
    argumentsDigest: text(argumentsDigest),
    qemuVersion: text(qemuVersion),
  };
}

/** The last `bytesMax` bytes of a file; empty when there is none. Never follows a link. */
export async function readTail(path: string, bytesMax: number): Promise<Buffer> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, bytesMax);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return null;
  }
}

export class RunDirectory {
  readonly incarnation: string;
  readonly path: string;

  constructor(layout: StateLayout, incarnation: string) {
    this.incarnation = incarnation;
    this.path = layout.runDir(incarnation);
  }

  get qmpSocket(): string {
    return join(this.path, 'qmp.sock');
  }
  get agentSocket(): string {
    return join(this.path, 'agent.sock');
  }
  get consoleFile(): string {
    return join(this.path, 'console.log');
  }
  get logFile(): string {
    return join(this.path, 'vmm.log');
  }
  get #recordFile(): string {
    return join(this.path, 'vmm.json');
  }
  get #exitFile(): string {
    return join(this.path, 'exit.json');
  }

  /** Makes the directory and its empty files for a VMM of group `gid`; null: the VMM is the daemon's own user. */
  async create(gid: number | null): Promise<void> {
    await ensureDirectory(this.path, 0o700);
    for (const path of [this.consoleFile, this.logFile]) await (await open(path, 'wx', 0o600)).close();
    if (gid === null) return;
    await chown(this.consoleFile, 0, gid);
    await chmod(this.consoleFile, 0o620);
    await chown(this.path, 0, gid);
    await chmod(this.path, 0o1770);
  }

  async exists(): Promise<boolean> {
    return await readdir(this.path).then(
      () => true,
      () => false,
    );
  }

  /** Removes what is of use only while the VMM lives. */
  async removeSockets(): Promise<void> {
    for (const path of [this.qmpSocket, this.agentSocket]) await rm(path, { force: true });
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
  }

  async readRecord(): Promise<VmmRecord | null> {
    return parseRecord(await readJson(this.#recordFile), this.incarnation);
  }
  async writeRecord(record: VmmRecord): Promise<void> {
    await writeFileAtomic(this.#recordFile, `${JSON.stringify(record)}\n`);
  }
  async removeRecord(): Promise<void> {
    await rm(this.#recordFile, { force: true });
  }
  async readExit(): Promise<ExitFacts | null> {
    return parseExitFacts(await readJson(this.#exitFile));
  }
  async writeExit(facts: ExitFacts): Promise<void> {
    await writeFileAtomic(this.#exitFile, `${JSON.stringify(facts)}\n`);
  }

  async logTail(): Promise<string> {
    return (await readTail(this.logFile, 4096)).toString('utf8');
  }
  async consoleTail(bytesMax: number): Promise<Buffer> {
    return await readTail(this.consoleFile, bytesMax);
  }
}

/** Incarnations that have a run directory. */
export async function listRunDirectories(layout: StateLayout): Promise<readonly string[]> {
  const names = await readdir(layout.run).catch(() => []);
  return names.filter((name) => incarnationPattern.test(name));
}

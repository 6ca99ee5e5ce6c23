/**
 * The files of one incarnation in `run/<incarnation>/`:
 *
 *   vmm.json      the host that owns it and, once known, the VMM's process
 *   exit.json     how it ended, written before any other trace is removed; empty until then
 *   status.json   the VMM's exit status, written by its launch shim; absent without a shim, empty until then
 *   console.log   the end of the serial console (tail-file.ts)
 *   vmm.log       the end of the VMM's output
 *   qmp.sock agent.sock   made by the VMM
 *   disk-copy-*   what it copies its disk to; there only meanwhile
 *
 * The VMM is not trusted, and it may make files here. The daemon's files are made before the VMM starts, and
 * the sticky bit keeps the VMM from renaming or removing them. If something else is in their place
 * nevertheless, it is not read: only regular files of the daemon's own user are read, up to a size, without
 * blocking. Writing a record replaces whatever is there. Where VMMs run as the daemon's own user, ownership
 * proves nothing: then only the size limits and non-blocking opens protect the daemon.
 */
import { chmod, chown, open, readdir, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../core/errors.ts';
import type { ExitFacts } from '../../core/ports/engine.ts';
import { sleep } from '../../lib/abort.ts';
import { copyFrom, copyWhole } from '../../lib/copy.ts';
import { ensureDirectory, hasErrorCode, writeFileAtomic } from '../../lib/files.ts';
import { shortId } from '../../lib/ids.ts';
import { type Logger, silentLog } from '../../lib/log.ts';
import { removeTree } from '../../lib/remove-tree.ts';
import type { StateLayout } from '../../storage/layout.ts';
import { ConsoleTimes } from './console-times.ts';
import { type ExitStatus, parseExitFacts, parseExitStatus } from './exit-facts.ts';
import { appendOwned, openOwned, readTail } from './owned-file.ts';

/** The process of an incarnation's VMM. Boot id, pid and start time together identify a process for ever. */
export interface VmmRecord {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  readonly incarnation: string;
  /** Null in records of an earlier version. */
  readonly hostId: string | null;
  readonly machineId: string | null;
  readonly argumentsDigest: string | null;
  readonly kernelArgs: string | null;
  /** Whether the machine has ACPI tables; those of an earlier version have. */
  readonly hasAcpi: boolean;
  readonly qemuVersion: string | null;
  /** See `hardwareDigest` and `StateNeeds`; what it takes to save its guest's memory. */
  readonly hardware: string | null;
  readonly processor: string | null;
  readonly memoryMib: number | null;
  /** See `EngineHandle`. */
  readonly restoredFrom: string | null;
}

const incarnationPattern = /^[a-z0-9]{1,32}$/;
const recordBytesMax = 64 * 1024;
const diskTargetPrefix = 'disk-copy-';
/** More than the times that a console keeps. */
const timesBytesMax = 1024 * 1024;
const replaceAttempts = 3;
/** The shim needs milliseconds to reap its VMM and write; a killed shim writes nothing. */
const statusTimeoutMs = 2000;
const statusPollMs = 10;

function parseRecord(value: unknown, incarnation: string): VmmRecord | null {
  if (typeof value !== 'object' || value === null) return null;
  const { pid, startTime, bootId, hostId, machineId, argumentsDigest, kernelArgs, ...rest } = value as Record<
    string,
    unknown
  >;
  const { hasAcpi, qemuVersion, hardware, processor, memoryMib, restoredFrom } = rest;
  if (rest.incarnation !== incarnation || typeof pid !== 'number' || !Number.isSafeInteger(pid)) return null;
  if (typeof startTime !== 'string' || typeof bootId !== 'string') return null;
  const text = (field: unknown) => (typeof field === 'string' ? field : null);
  return {
    pid,
    startTime,
    bootId,
    incarnation,
    hostId: text(hostId),
    machineId: text(machineId),
    argumentsDigest: text(argumentsDigest),
    kernelArgs: text(kernelArgs),
    hasAcpi: hasAcpi !== false,
    qemuVersion: text(qemuVersion),
    hardware: text(hardware),
    processor: text(processor),
    restoredFrom: text(restoredFrom),
    memoryMib: typeof memoryMib === 'number' ? memoryMib : null,
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Replaces whatever is at `path`, even a directory. */
async function replaceFile(path: string, data: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await writeFileAtomic(path, data);
      return;
    } catch (error) {
      if (!hasErrorCode(error, 'EISDIR') || attempt === replaceAttempts) throw error;
    }
    // Moved instead of removed: a running VMM could redirect a recursive removal.
    await rename(path, `${path}.refused-${shortId()}`).catch((error) => {
      if (!hasErrorCode(error, 'ENOENT')) throw error;
    });
  }
}

export class RunDirectory {
  readonly incarnation: string;
  readonly path: string;

  readonly #log: Pick<Logger, 'warn'>;

  /** `log` gets a warning when a record's place holds something else. */
  constructor(layout: StateLayout, incarnation: string, log: Pick<Logger, 'warn'> = silentLog) {
    this.#log = log;
    this.incarnation = incarnation;
    this.path = layout.runDir(incarnation);
  }

  get qmpSocket(): string {
    return join(this.path, 'qmp.sock');
  }
  get agentSocket(): string {
    return join(this.path, 'agent.sock');
  }
  /** Through which the guest's memory is saved or loaded; there only meanwhile. */
  get stateSocket(): string {
    return join(this.path, 'state.sock');
  }
  get consoleFile(): string {
    return join(this.path, 'console.log');
  }
  /** When the console's bytes were seen; see `ConsoleTimes`. */
  get consoleTimesFile(): string {
    return join(this.path, 'console.times');
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

  get statusFile(): string {
    return join(this.path, 'status.json');
  }

  /**
   * Makes the directory of `hostId` and its files for a VMM of group `gid`; null: the VMM runs as the
   * daemon's user. `hasShim`: a launch shim will write the status.
   */
  async create(hostId: string, gid: number | null, hasShim = false): Promise<void> {
    await ensureDirectory(this.path, 0o700);
    const { incarnation } = this;
    await writeFile(this.#recordFile, JSON.stringify({ hostId, incarnation }), { flag: 'wx', mode: 0o600 });
    const times = ConsoleTimes.ofEmpty(Date.now());
    await writeFile(this.consoleTimesFile, times.take()?.text ?? '', { flag: 'wx', mode: 0o600 });
    const files = [this.consoleFile, this.logFile, this.#exitFile];
    for (const path of hasShim ? [...files, this.statusFile] : files)
      await (await open(path, 'wx', 0o600)).close();
    if (gid === null) return;
    await chown(this.consoleFile, 0, gid);
    await chmod(this.consoleFile, 0o620);
    await chown(this.path, 0, gid);
    await chmod(this.path, 0o1770);
  }

  /**
   * The user of the VMM for which this was made, read from its group; null: the daemon's own user, or no
   * directory.
   */
  async vmmUid(): Promise<number | null> {
    const { mode, gid } = await stat(this.path).catch(() => ({ mode: 0, gid: 0 }));
    return (mode & 0o1777) === 0o1770 ? gid : null;
  }

  async exists(): Promise<boolean> {
    return await readdir(this.path).then(
      () => true,
      () => false,
    );
  }

  /**
   * Gives the VMM a copy of a disk image to write to, under a name that it did not know before. Raises the signal's reason and
   * the system's errors.
   */
  async addDiskTarget(content: string, signal: AbortSignal): Promise<string> {
    const path = join(this.path, `${diskTargetPrefix}${shortId()}`);
    await (await open(path, 'wx', 0o600)).close();
    await copyWhole(content, path, signal);
    const gid = await this.vmmUid();
    if (gid === null) return path;
    await chown(path, 0, gid);
    await chmod(path, 0o660);
    return path;
  }

  /** Copies what the VMM has written to a file that it cannot change, and makes that durable. */
  async takeDiskTarget(path: string, target: string, signal: AbortSignal): Promise<void> {
    const opened = await openOwned(path, 'read');
    if (opened.kind !== 'owned') throw new AppError('engine', 'the VMM has replaced the copy of its disk');
    try {
      await copyFrom(opened.handle, target, signal);
    } finally {
      await opened.handle.close();
    }
  }

  async removeDiskTargets(): Promise<void> {
    const names = await readdir(this.path).catch((error: unknown) => {
      if (hasErrorCode(error, 'ENOENT')) return [];
      throw error;
    });
    // The VMM may have made a tree under such a name; it goes with the directory.
    for (const name of names.filter((each) => each.startsWith(diskTargetPrefix)))
      await unlink(join(this.path, name)).catch((error: unknown) => {
        if (!hasErrorCode(error, 'EISDIR') && !hasErrorCode(error, 'ENOENT')) throw error;
      });
  }

  /** Removes files that are useless after the VMM's end. */
  async removeSockets(): Promise<void> {
    for (const path of [this.qmpSocket, this.agentSocket, this.stateSocket]) {
      await unlink(path).catch((error) => {
        // The VMM may have put a tree of any size there, which is removed with the directory.
        if (!['ENOENT', 'EISDIR', 'EPERM', 'ENOTDIR'].some((code) => hasErrorCode(error, code))) throw error;
      });
    }
  }

  async remove(): Promise<void> {
    await removeTree(this.path);
  }

  async readRecord(): Promise<VmmRecord | null> {
    return parseRecord(await this.#readJson(this.#recordFile), this.incarnation);
  }
  /** The host for which it was made, also before its VMM is known; null when no record says. */
  async readHostId(): Promise<string | null> {
    const { incarnation, hostId } = Object(await this.#readJson(this.#recordFile)) as Partial<VmmRecord>;
    return incarnation === this.incarnation && typeof hostId === 'string' ? hostId : null;
  }
  async writeRecord(record: VmmRecord): Promise<void> {
    await replaceFile(this.#recordFile, `${JSON.stringify(record)}\n`);
  }
  async readExit(): Promise<ExitFacts | null> {
    return parseExitFacts(await this.#readJson(this.#exitFile));
  }
  async writeExit(facts: ExitFacts): Promise<void> {
    await replaceFile(this.#exitFile, `${JSON.stringify(facts)}\n`);
  }

  /** Waits briefly for the shim of a VMM that has just ended to report its status; null when none does. */
  async awaitStatus(): Promise<ExitStatus | null> {
    for (let waitedMs = 0; waitedMs < statusTimeoutMs; waitedMs += statusPollMs) {
      const size = await stat(this.statusFile).then(
        (facts) => facts.size,
        () => null,
      );
      if (size === null) return null;
      if (size > 0) return parseExitStatus(await this.#readJson(this.statusFile));
      await sleep(statusPollMs);
    }
    return null;
  }

  async logTail(): Promise<string> {
    return (await readTail(this.logFile, 4096)).toString('utf8');
  }
  /** Only for `Consoles`, which prevents trimming meanwhile. */
  async consoleTail(bytesMax: number): Promise<Buffer> {
    return await readTail(this.consoleFile, bytesMax);
  }

  /** Without any times when there is no file, or none that can be trusted. Only for `Consoles`. */
  async readConsoleTimes(): Promise<ConsoleTimes> {
    return ConsoleTimes.parse((await readTail(this.consoleTimesFile, timesBytesMax)).toString('utf8'));
  }
  /** Rejects with the system's error; then everything is saved next time. Only for `Consoles`. */
  async saveConsoleTimes(times: ConsoleTimes): Promise<void> {
    const saved = times.take();
    if (saved === null) return;
    try {
      if (saved.isWhole || !(await appendOwned(this.consoleTimesFile, saved.text))) {
        times.notSaved();
        await replaceFile(this.consoleTimesFile, times.take()?.text ?? '');
      }
    } catch (error) {
      times.notSaved();
      throw error;
    }
  }
  /** Only for `Consoles`. */
  async removeConsoleTimes(): Promise<void> {
    await replaceFile(this.consoleTimesFile, '');
  }

  /** Null when there is no file yet, or none that can be trusted. */
  async #readJson(path: string): Promise<unknown> {
    const opened = await openOwned(path, 'read');
    if (opened.kind === 'absent') return null;
    if (opened.kind === 'foreign') return this.#refuse(path, opened.why);
    const { handle, size } = opened;
    try {
      if (size > recordBytesMax) return this.#refuse(path, `it has ${size} bytes`);
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
      return parseJson(buffer.toString('utf8', 0, bytesRead));
    } finally {
      await handle.close();
    }
  }

  #refuse(path: string, why: string): null {
    this.#log.warn({ incarnation: this.incarnation, path, why }, 'record rejected');
    return null;
  }
}

/** Incarnations that have a run directory. */
export async function listRunDirectories(layout: StateLayout): Promise<readonly string[]> {
  const names = await readdir(layout.run).catch(() => []);
  return names.filter((name) => incarnationPattern.test(name));
}

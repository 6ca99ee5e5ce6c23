/**
 * One incarnation's VMM while it runs: its QMP connection, the detection of its end, and the way to end it.
 * The process need not be our child. Ends exactly once, with facts:
 *
 *   SHUTDOWN event, or query-status says `shutdown`  → the guest ended; facts are written, then QEMU is quit
 *   stop()                                           → `stopped`
 *   query-status says that the guest cannot continue → `died`; facts are written, then QEMU is quit
 *   the process is gone                              → exit.json if it was written, else `died`
 */
import { AppError } from '../../core/errors.ts';
import {
  type EngineStatus,
  type EngineUsage,
  type ExitFacts,
  pausedOnRequest,
} from '../../core/ports/engine.ts';
import { abortable, deadline } from '../../lib/abort.ts';
import { isAlive, type ProcessIdentity, readProcessStat } from '../../lib/procfs.ts';
import { abandonCapture, type CaptureRequest, captureState } from './capturing.ts';
import { consoleTailBytes, diedFacts, guestExitFacts, lastWords, stoppedFacts } from './exit-facts.ts';
import { askUsage } from './metering.ts';
import { killProcess, waitGone } from './processes.ts';
import { QmpClient } from './qmp.ts';
import { isObject, objectAt } from './qmp-messages.ts';
import type { RunDirectory } from './run-directory.ts';
import { type SaveRequest, saveState } from './saving.ts';
import type { Spawned } from './spawn.ts';

/** A healthy QEMU answers in under 30 ms; a hanging one must not delay others. */
const qmpTimeoutMs = 2000;
/** For several commands. */
const measureTimeoutMs = 3 * qmpTimeoutMs;
/** Pausing waits for the disk's open requests. */
const processorsTimeoutMs = 10_000;
/** From the quit command, or SIGKILL, to the end of the process. */
const quitTimeoutMs = 2000;
const killTimeoutMs = 10_000;
const childExitTimeoutMs = 1000;
/** QEMU's status of a guest that cannot continue. */
const brokenStatuses = {
  'internal-error': 'QEMU stopped the guest after an internal error',
  'guest-panicked': 'QEMU stopped the guest because its kernel panicked',
  'io-error': 'QEMU stopped the guest after an I/O error of its disk',
} as const;
/** A QEMU that does not answer is asked again after 1, 2, 4 … ticks, at most this many. */
const retryTicksMax = 16;

export interface VmmOptions {
  readonly identity: ProcessIdentity;
  readonly directory: RunDirectory;
  /** Set when this daemon started it. */
  readonly spawned: Spawned | null;
  /** Whether the VMM was killed for exceeding its memory limit; called after its death. */
  readonly hasRunOutOfMemory: () => Promise<boolean>;
  /** Called once, when the process is gone and all listeners were notified; releases its resources. */
  readonly onEnded: () => Promise<void>;
  /** The last bytes of the console. */
  readonly consoleTail: (bytesMax: number) => Promise<Buffer>;
  /** Reports a background failure that no caller waits for. */
  readonly onTrouble: (message: string, error: unknown) => void;
}

export class Vmm {
  readonly identity: ProcessIdentity;
  readonly #options: VmmOptions;
  readonly #listeners = new Set<(facts: ExitFacts) => void>();
  readonly #childExit: Promise<readonly [number | null, string | null]>;
  #qmp: QmpClient | null = null;
  #connecting: Promise<QmpClient> | null = null;
  /** The ending in progress or completed, if any. */
  #ending: Promise<ExitFacts> | null = null;
  #facts: ExitFacts | null = null;
  #measuring: Promise<EngineUsage> | null = null;
  #ticksToRetry = 0;
  #retryTicks = 1;
  #isClosed = false;

  constructor(options: VmmOptions) {
    this.#options = options;
    this.identity = options.identity;
    const exit = Promise.withResolvers<readonly [number | null, string | null]>();
    this.#childExit = exit.promise;
    options.spawned?.child.once('exit', (code, signal) => {
      exit.resolve([code, signal]);
      this.#check();
    });
  }

  /** Connects and learns the guest's state; raises `timeout` and `engine`. */
  async connect(): Promise<QmpClient> {
    if (this.#qmp !== null) return this.#qmp;
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = null;
    });
    return await this.#connecting;
  }

  /** Checks the process and the connection; called about every second. */
  tick(): void {
    if (this.#isClosed || this.#ending !== null) return;
    this.#check();
    if (this.#qmp !== null || this.#connecting !== null || this.#ending !== null) return;
    if (this.#ticksToRetry-- > 0) return;
    this.connect().catch(() => {
      this.#ticksToRetry = this.#retryTicks;
      this.#retryTicks = Math.min(this.#retryTicks * 2, retryTicksMax);
    });
  }

  /** Raises `timeout` when the guest has ended but its VMM does not. */
  async status(): Promise<EngineStatus> {
    this.#check();
    const answer = this.#ending === null ? await this.#askIfItAnswers() : null;
    this.#check();
    // The guest may have ended during the query.
    if (this.#ending !== null) return { state: 'exited', facts: await this.#ending };
    return answer ?? { state: 'running' };
  }

  /** Pauses (`stop`) or resumes (`cont`) the vCPUs; raises `timeout`, `engine`, and the signal's reason. */
  async command(name: 'stop' | 'cont', signal: AbortSignal): Promise<void> {
    const qmp = await this.#living(signal);
    await abortable(qmp.execute(name, {}, processorsTimeoutMs), signal);
    if ((await abortable(this.#ask(qmp), signal)) === null)
      throw new AppError('engine', 'the guest has ended');
  }

  /** Saves a paused guest; see `saveState`. Raises `engine` when the guest has ended. */
  async save(request: SaveRequest, signal: AbortSignal): Promise<void> {
    await saveState(await this.#living(signal), request, signal);
  }

  /** See `captureState`. Raises `engine` when the guest has ended. */
  async capture(request: CaptureRequest, signal: AbortSignal): Promise<number> {
    return await captureState(await this.#living(signal), request, signal);
  }

  /** See `abandonCapture`. Raises `engine` when the guest has ended. */
  async abandonCapture(isRunning: boolean, signal: AbortSignal): Promise<void> {
    await abortable(abandonCapture(await this.#living(signal), isRunning), signal);
  }

  /** Raises `timeout`, `engine`, and the signal's reason. */
  async usage(signal: AbortSignal): Promise<EngineUsage> {
    this.#check();
    const qmp = await abortable(this.connect(), signal);
    // Two at once would end each other's polling of the guest.
    this.#measuring ??= this.#measure(qmp).finally(() => {
      this.#measuring = null;
    });
    return await abortable(this.#measuring, signal);
  }

  /**
   * Ends the VMM and waits until it is gone; raises `timeout` when even SIGKILL does not end it, and the
   * signal's reason.
   */
  async stop(signal?: AbortSignal): Promise<void> {
    this.#check();
    const ended = this.#begin(() => this.#finish(stoppedFacts()));
    await (signal === undefined ? ended : abortable(ended, signal));
  }

  onExit(listener: (facts: ExitFacts) => void): () => void {
    // A new function object, so that the same listener given twice is registered twice.
    const entry = (facts: ExitFacts) => listener(facts);
    if (this.#facts === null) this.#listeners.add(entry);
    else this.#tell(this.#facts, entry);
    return () => void this.#listeners.delete(entry);
  }

  /** Stops watching; the VMM keeps running. */
  close(): void {
    this.#isClosed = true;
    this.#listeners.clear();
    this.#qmp?.close();
  }

  /** The connection to a VMM whose guest has not ended. An ended one is also paused: QEMU would accept a stop and refuse to continue. */
  async #living(signal: AbortSignal): Promise<QmpClient> {
    this.#check();
    const qmp = await abortable(this.connect(), signal);
    const status = this.#ending === null ? await abortable(this.#ask(qmp), signal) : null;
    if (status === null) throw new AppError('engine', 'the guest has ended');
    return qmp;
  }

  async #measure(qmp: QmpClient): Promise<EngineUsage> {
    const stat = readProcessStat(this.identity.pid);
    const isOver = () => this.#ending !== null || stat?.startTime !== this.identity.startTime;
    if (stat === null || isOver()) throw new AppError('engine', 'the guest has ended');
    const usage = await askUsage(qmp, stat, qmpTimeoutMs, AbortSignal.timeout(measureTimeoutMs));
    if (isOver()) throw new AppError('engine', 'the guest has ended');
    return usage;
  }

  async #connect(): Promise<QmpClient> {
    const qmp = await QmpClient.connect(this.#options.directory.qmpSocket, {
      timeoutMs: qmpTimeoutMs,
      onEvent: (name, data) => {
        if (name === 'SHUTDOWN' && data.guest === true) this.#guestEnded(String(data.reason));
        // The reason of the pause may be permanent; the status tells.
        if (name === 'STOP') void this.status().catch(() => undefined);
      },
      onClose: () => {
        this.#qmp = null;
        if (this.#isClosed) return;
        // The socket closes a moment before the process is gone.
        waitGone(this.identity, quitTimeoutMs).then(
          () => this.#check(),
          () => undefined,
        );
      },
    });
    if (this.#isClosed) {
      qmp.close();
      throw new AppError('engine', 'the driver is closed');
    }
    this.#qmp = qmp;
    this.#retryTicks = 1;
    try {
      // The guest may have ended while nobody was connected.
      await this.#ask(qmp);
    } catch (error) {
      qmp.close();
      throw error;
    }
    return qmp;
  }

  async #queryStatus(qmp: QmpClient): Promise<{ readonly status: string }> {
    const answer = await qmp.execute('query-status', {}, qmpTimeoutMs);
    const status = isObject(answer) ? answer.status : undefined;
    return { status: typeof status === 'string' ? status : 'unknown' };
  }

  /** Null when it does not answer, or answers that the guest has ended. */
  async #askIfItAnswers(): Promise<EngineStatus | null> {
    try {
      return await this.#ask(await this.connect());
    } catch (error) {
      // As long as it runs without answering, it has not ended.
      if (isAlive(this.identity)) this.#options.onTrouble('VMM does not answer', error);
      return null;
    }
  }

  async #ask(qmp: QmpClient): Promise<EngineStatus | null> {
    const { status } = await this.#queryStatus(qmp);
    switch (status) {
      case 'running':
        return { state: 'running' };
      case 'shutdown':
        this.#guestEnded(null);
        return null;
      case 'paused':
      // Its memory is being saved, or was.
      case 'finish-migrate':
      case 'postmigrate':
        return { state: 'paused', reason: pausedOnRequest };
      case 'io-error':
        if (await this.#hasNoSpace(qmp)) return { state: 'paused', reason: 'disk_full' };
        // If it was resumed in between, QEMU has forgotten the reason.
        if ((await this.#queryStatus(qmp)).status !== status) return { state: 'running' };
        return this.#brokenDown(brokenStatuses[status]);
      case 'internal-error':
      case 'guest-panicked':
        return this.#brokenDown(brokenStatuses[status]);
      default:
        return { state: 'paused', reason: status.replaceAll('-', '_') };
    }
  }

  async #hasNoSpace(qmp: QmpClient): Promise<boolean> {
    const blocks = await qmp.execute('query-block', {}, qmpTimeoutMs);
    return (
      Array.isArray(blocks) && blocks.some((block) => objectAt({ block }, 'block')['io-status'] === 'nospace')
    );
  }

  /** If the process is gone, this is the end. */
  #check(): void {
    if (this.#isClosed || this.#ending !== null || isAlive(this.identity)) return;
    this.#begin(async () => {
      const written = await this.#options.directory.readExit();
      return await this.#settle(written ?? (await this.#died()));
    }).catch(() => undefined);
  }

  #guestEnded(event: string | null): void {
    this.#begin(async () => {
      const written = await this.#options.directory.readExit();
      const console = await this.#options.consoleTail(consoleTailBytes);
      return await this.#finish(written ?? guestExitFacts(event, console.toString('utf8')));
    }).catch(() => undefined);
  }

  /** The VMM runs, but its guest cannot continue. */
  #brokenDown(why: string): null {
    this.#begin(async () => {
      const written = await this.#options.directory.readExit();
      const words = lastWords(await this.#options.directory.logTail());
      const reason = words === null ? why : `${why}: ${words}`;
      return await this.#finish(written ?? { kind: 'died', exitCode: null, signal: null, reason });
    }).catch(() => undefined);
    return null;
  }

  /** Starts the ending, or joins the one in progress. A failed ending can be tried again. */
  #begin(end: () => Promise<ExitFacts>): Promise<ExitFacts> {
    if (this.#ending !== null) return this.#ending;
    const ending = end();
    this.#ending = ending;
    ending.catch((error) => {
      this.#ending = null;
      this.#options.onTrouble('VMM not ended', error);
    });
    return ending;
  }

  /** Writes the facts first, then ends the process, so that a daemon that dies in between can read them. */
  async #finish(facts: ExitFacts): Promise<ExitFacts> {
    await this.#write(facts);
    await this.#quit();
    return await this.#settle(facts);
  }

  async #quit(): Promise<void> {
    if (this.#qmp !== null) {
      // The answer may be lost with the connection; only the end of the process matters.
      this.#qmp.execute('quit', {}, qmpTimeoutMs).catch(() => undefined);
      if (await waitGone(this.identity, quitTimeoutMs)) return;
    }
    killProcess(this.identity);
    if (await waitGone(this.identity, killTimeoutMs)) return;
    throw new AppError('timeout', `process ${this.identity.pid} does not end`);
  }

  async #died(): Promise<ExitFacts> {
    const { directory, hasRunOutOfMemory } = this.#options;
    const [code, signal] = await this.#exitStatus();
    const log = await directory.logTail();
    return diedFacts(
      code,
      signal,
      (await hasRunOutOfMemory()) ? `${log}\nits memory limit was reached` : log,
    );
  }

  /** From the launch shim, or from the process itself when it was our child. */
  async #exitStatus(): Promise<readonly [number | null, string | null]> {
    const { spawned, directory } = this.#options;
    const status = await directory.awaitStatus();
    if (status !== null) return [status.exitCode, status.signal];
    if (!spawned?.isVmm) return [null, null];
    const limit = deadline(childExitTimeoutMs, () => new Error('no exit code'));
    try {
      return await abortable(this.#childExit, limit.signal).catch(() => [null, null] as const);
    } finally {
      limit.clear();
    }
  }

  async #write(facts: ExitFacts): Promise<void> {
    await this.#options.directory.writeExit(facts).catch((error) => {
      // The disk may be full, or the directory gone; the machine must still end.
      this.#options.onTrouble('exit facts of a VMM not written', error);
    });
  }

  async #settle(facts: ExitFacts): Promise<ExitFacts> {
    if (facts.kind === 'died') await this.#write(facts);
    this.#qmp?.close();
    this.#facts = facts;
    for (const listener of this.#listeners) this.#tell(facts, listener);
    this.#listeners.clear();
    // Notified first: the machine has ended, even if the VMM's remains are hard to remove.
    await this.#options.onEnded().catch((error) => {
      this.#options.onTrouble('resources of an ended VMM not released', error);
    });
    return facts;
  }

  #tell(facts: ExitFacts, listener: (facts: ExitFacts) => void): void {
    try {
      listener(facts);
    } catch (error) {
      this.#options.onTrouble('exit listener failed', error);
    }
  }
}

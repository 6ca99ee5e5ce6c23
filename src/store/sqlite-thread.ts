/**
 * The main thread's end of the writer thread: sends requests, resolves answers, and detects that the thread
 * is gone.
 */
import { Worker } from 'node:worker_threads';
import { AppError } from '../core/errors.ts';
import { type Answer, openingId, type Request, type WorkerOptions } from './sqlite-protocol.ts';

export type Result = Exclude<Answer, { readonly failure: unknown }>;

/** How long to wait for an answer of the disk. Longer than any wait for a lock. */
const answerMs = 30_000;

/** Statements and rows are small; the limit makes a bug end the thread instead of the daemon. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };

interface Pending {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** An error of SQLite in the other thread, with its result code. */
export class SqliteFailure extends Error {
  override readonly name = 'SqliteFailure';
  readonly errcode: number | null;
  readonly code: string | null;

  constructor({ message, errcode, code }: { message: string; errcode: number | null; code: string | null }) {
    super(message);
    this.errcode = errcode;
    this.code = code;
  }
}

/** A request got no answer: it is unknown whether it was executed. */
export class ThreadLostError extends AppError {
  override readonly name = 'ThreadLostError';

  constructor(reason: string, cause?: unknown) {
    super('unavailable', `the database cannot be written: ${reason}`, {
      cause,
      hint: 'Try again. If it happens again, check the disk of the state directory.',
    });
  }
}

export class WriterThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #lastId = openingId;
  /** Why no more requests are accepted. */
  #end: ThreadLostError | null = null;

  private constructor(options: WorkerOptions) {
    this.#worker = new Worker(new URL('./sqlite-worker.ts', import.meta.url), {
      workerData: options,
      resourceLimits,
      name: 'flotilla-db',
    });
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#abandon(new ThreadLostError('its thread failed', error)));
    this.#worker.on('exit', () => this.#abandon(new ThreadLostError('its thread has ended')));
  }

  /** Resolves when the database is open. Raises SqliteFailure, ThreadLostError. */
  static async open(options: WorkerOptions): Promise<WriterThread> {
    const thread = new WriterThread(options);
    await thread.#answerTo(openingId);
    return thread;
  }

  get hasEnded(): boolean {
    return this.#end !== null;
  }

  /** Raises SqliteFailure; ThreadLostError when there is no answer, and for every later request. */
  async request(request: Request): Promise<Result> {
    if (this.#end !== null) throw this.#end;
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = this.#answerTo(id);
    this.#worker.postMessage({ id, request });
    return answer;
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#end !== null) return;
    await this.request({ kind: 'close' });
    await this.#worker.terminate();
  }

  #answerTo(id: number): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const late = () =>
      this.#abandon(new ThreadLostError(`the disk did not answer within ${answerMs / 1000} s`));
    const timer = setTimeout(late, answerMs);
    this.#pending.set(id, { resolve, reject, timer });
    // The thread keeps the process alive only while a request waits.
    this.#worker.ref();
    return promise;
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    this.#pending.delete(answer.id);
    clearTimeout(pending.timer);
    if (this.#pending.size === 0) this.#worker.unref();
    if ('failure' in answer) pending.reject(new SqliteFailure(answer.failure));
    else pending.resolve(answer);
  }

  /** A thread that hangs in a system call cannot be ended. It is abandoned, and its messages are ignored. */
  #abandon(reason: ThreadLostError): void {
    if (this.#end !== null) return;
    this.#end = reason;
    this.#worker.unref();
    void this.#worker.terminate();
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(reason);
    }
    this.#pending.clear();
  }
}

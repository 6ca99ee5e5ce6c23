/** This thread's end of the thread that writes: sends requests, hands out answers, and tells when it is gone. */
import { Worker } from 'node:worker_threads';
import { AppError } from '../core/errors.ts';
import { type Answer, openingId, type Request, type WorkerOptions } from './sqlite-protocol.ts';

export type Result = Exclude<Answer, { readonly failure: unknown }>;

/** A disk that does not answer for this long is not waited for. Longer than any lock is waited for. */
const answerMs = 30_000;

/** Statements and rows are small; this is for a defect, which then ends the thread and not the daemon. */
const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };

interface Pending {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** An error of SQLite's, with its result code, as it was thrown in the other thread. */
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

/** What was asked had no answer: whether it was done is unknown. */
export class ThreadLostError extends AppError {
  override readonly name = 'ThreadLostError';

  constructor(reason: string, cause?: unknown) {
    super('unavailable', `the database cannot be written: ${reason}`, {
      cause,
      hint: 'try again; look at the disk of the state directory when it goes on',
    });
  }
}

export class WriterThread {
  readonly #worker: Worker;
  readonly #pending = new Map<number, Pending>();
  #lastId = openingId;
  /** Why no request is taken any more. */
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

  /** Raises SqliteFailure; ThreadLostError when there is no answer, and to every request from then on. */
  async request(request: Request): Promise<Result> {
    if (this.#end !== null) throw this.#end;
    this.#lastId += 1;
    const id = this.#lastId;
    const answer = this.#answerTo(id);
    this.#worker.postMessage({ id, request });
    return answer;
  }

  /** Harmless when it has ended. */
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
    // It keeps the process from ending only as long as somebody waits for it.
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

  /** A thread that hangs in a system call cannot be ended; it is left, and what it still does is not listened to. */
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

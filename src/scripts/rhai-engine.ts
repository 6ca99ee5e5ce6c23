/**
 * Runs Rhai scripts: each in a thread of its own that ends with it, so that scripts share nothing and each can
 * be killed at any moment. The language itself is a WebAssembly module without imports but `print`, made from
 * `script-engine/`. Must never give a script anything of the host.
 */
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { AppError } from '../core/errors.ts';
import type { ScriptEngine, ScriptFailure, ScriptRequest, ScriptResult } from '../core/ports/scripts.ts';
import { deadline } from '../lib/abort.ts';
import { Limiter, QueueFullError } from '../lib/limiter.ts';
import { PrintedText } from './printed-text.ts';
import type { ScriptAnswer, ScriptThreadData } from './script-protocol.ts';

const moduleFile = new URL('../../script-engine/script-engine.wasm', import.meta.url);

/** Most of this is the interpreter; a script's own memory, 64 MiB, is limited by the module. */
const resourceLimits = { maxOldGenerationSizeMb: 48, maxYoungGenerationSizeMb: 4, stackSizeMb: 4 };

/** What any request may ask for. */
export const scriptLimitsMax = {
  codeBytes: 1024 * 1024,
  operations: 100_000_000,
  stringBytes: 1024 * 1024,
  outputBytes: 1024 * 1024,
  timeoutMs: 300_000,
} as const;

export interface RhaiEngineOptions {
  /** Scripts that run at once; each may use a core and about 100 MiB. */
  readonly runningMax?: number;
  readonly waitingMax?: number;
  /** For tests: the module, and the program of the thread. */
  readonly moduleFile?: URL;
  readonly workerFile?: URL;
}

/** The script was killed at its time limit. */
class TimedOut extends Error {}

export class RhaiEngine implements ScriptEngine {
  readonly #slots: Limiter;
  readonly #moduleFile: URL;
  readonly #workerFile: URL;
  readonly #closing = new AbortController();
  readonly #ended = new Set<Promise<unknown>>();
  #module: Promise<WebAssembly.Module> | null = null;

  constructor(options: RhaiEngineOptions = {}) {
    const { runningMax = 2, waitingMax = 64 } = options;
    this.#slots = new Limiter(runningMax, waitingMax);
    this.#moduleFile = options.moduleFile ?? moduleFile;
    this.#workerFile = options.workerFile ?? new URL('./script-worker.ts', import.meta.url);
  }

  async run(request: ScriptRequest, signal: AbortSignal): Promise<ScriptResult> {
    checkLimits(request);
    const ended = this.#runInTurn(request, AbortSignal.any([signal, this.#closing.signal]));
    this.#ended.add(ended);
    try {
      return await ended;
    } finally {
      this.#ended.delete(ended);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new AppError('unavailable', 'The daemon is shutting down'));
    await Promise.allSettled(this.#ended);
  }

  async #runInTurn(request: ScriptRequest, signal: AbortSignal): Promise<ScriptResult> {
    const release = await this.#turn(signal);
    try {
      const module = await this.#compiled();
      signal.throwIfAborted();
      return await this.#runAlone(module, request, signal);
    } finally {
      release();
    }
  }

  async #turn(signal: AbortSignal): Promise<() => void> {
    try {
      return await this.#slots.acquire(signal);
    } catch (error) {
      if (!(error instanceof QueueFullError)) throw error;
      throw new AppError('exhausted', 'Too many scripts are running or waiting', {
        cause: error,
        hint: 'Try again when some of them have ended.',
      });
    }
  }

  /** Compiled once, for all threads; again after a failure, whose reason may have passed. */
  #compiled(): Promise<WebAssembly.Module> {
    this.#module ??= readFile(this.#moduleFile)
      .then((bytes) => WebAssembly.compile(bytes))
      .catch((error: unknown) => {
        this.#module = null;
        throw new AppError('internal', 'The script engine cannot be loaded', { cause: error });
      });
    return this.#module;
  }

  async #runAlone(
    module: WebAssembly.Module,
    request: ScriptRequest,
    signal: AbortSignal,
  ): Promise<ScriptResult> {
    const { timeoutMs, outputBytesMax } = request.limits;
    const printed = PrintedText.ofSize(outputBytesMax);
    const data: ScriptThreadData = { module, request: toJson(request), printed: printed.memory };
    const limited = deadline(timeoutMs, () => new TimedOut(), signal);
    const worker = new Worker(this.#workerFile, {
      ...{ workerData: data, resourceLimits, name: 'flotilla-script' },
      ...{ env: {}, execArgv: [], stdin: false },
    });
    let answer: ScriptAnswer;
    try {
      answer = await answerOf(worker, limited.signal);
    } catch (error) {
      signal.throwIfAborted();
      answer = { error: failureOf(error, timeoutMs) };
    } finally {
      limited.clear();
      await worker.terminate();
    }
    const output = { output: printed.text(), isOutputTruncated: printed.isTruncated };
    if ('error' in answer) return { ...output, result: null, error: answer.error };
    return { ...output, result: answer.result, error: null };
  }
}

/** Rejects with the signal's reason, and when the thread ends without an answer. */
async function answerOf(worker: Worker, signal: AbortSignal): Promise<ScriptAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<ScriptAnswer>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', (code) => reject(new Error(`the script's thread ended with code ${code}`)));
  try {
    return await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    // A thread that is being ended may still fail, and nobody waits for it any more.
    worker.on('error', () => undefined);
  }
}

/** Of the ends that are the script's own doing. Throws all others. */
function failureOf(error: unknown, timeoutMs: number): ScriptFailure {
  const place = { line: null, column: null };
  if (error instanceof TimedOut) {
    return { kind: 'timeout', message: `The script ran longer than ${timeoutMs / 1000} s`, ...place };
  }
  if (error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return { kind: 'limit', message: 'The script uses more memory than it may', ...place };
  }
  throw new AppError('internal', 'The script engine failed', { cause: error });
}

function toJson({ code, scope, functions = {}, limits }: ScriptRequest): string {
  return JSON.stringify({
    ...{ code, constants: scope, functions },
    ...{ operations_max: limits.operationsMax, string_bytes_max: limits.stringBytesMax },
  });
}

/** Zero would mean no limit to the engine. */
function checkLimits({ code, limits }: ScriptRequest): void {
  const checked = [
    ['operations', limits.operationsMax, scriptLimitsMax.operations],
    ['bytes of a string', limits.stringBytesMax, scriptLimitsMax.stringBytes],
    ['bytes of output', limits.outputBytesMax, scriptLimitsMax.outputBytes],
    ['milliseconds', limits.timeoutMs, scriptLimitsMax.timeoutMs],
  ] as const;
  for (const [what, value, max] of checked) {
    if (Number.isSafeInteger(value) && value >= 1 && value <= max) continue;
    throw new AppError('invalid', `A script's limit must be from 1 to ${max} ${what}`);
  }
  if (Buffer.byteLength(code) > scriptLimitsMax.codeBytes) {
    throw new AppError('invalid', `A script must not be longer than ${scriptLimitsMax.codeBytes} bytes`);
  }
}

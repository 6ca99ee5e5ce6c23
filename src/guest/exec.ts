/** Commands in the guest: the host end of the exec call. */
import { AppError } from '../core/errors.ts';
import type { ExecEvent, ExecRequest, ExecSession } from '../core/ports/guest.ts';
import { invariant } from '../lib/invariant.ts';
import { type AnsweredCall, abortError, type CallOptions, openCall } from './calls.ts';
import { ExecFrameReader, encodeExecFrame } from './exec-frames.ts';
import { StdinPump } from './exec-stdin.ts';
import { ExecWatch } from './exec-watch.ts';
import { encodeLine } from './lines.ts';
import { frameTypes } from './protocol.ts';
import type { YamuxSession } from './yamux/session.ts';

export interface ExecTimings {
  readonly callMs: number;
  readonly execMarginMs: number;
  readonly execUnreadMs: number;
}

/** Signals a caller may have waiting for a guest that does not take them. */
const pendingSignalsMax = 16;

/** The request line of an exec call; `invalid` when it cannot be one. */
export function encodeExecRequest(request: ExecRequest): Buffer {
  const { argv, env = {}, cwd, user, timeoutMs, stdin } = request;
  if (argv.length === 0 || argv[0] === '') throw new AppError('invalid', 'exec needs a program to run');
  const words = [...argv, ...Object.entries(env).flat(), cwd ?? '', user ?? ''];
  if (words.some((word) => word.includes('\0'))) throw new AppError('invalid', 'exec takes no NUL bytes');
  if (Object.keys(env).some((name) => name === '' || name.includes('=')))
    throw new AppError('invalid', 'an environment variable needs a name without "="');
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs <= 0)
    throw new AppError('invalid', 'exec needs a time limit of at least one millisecond');
  return encodeLine({
    call: 'exec',
    argv,
    env,
    ...(cwd === undefined ? {} : { cwd }),
    ...(user === undefined ? {} : { user }),
    timeout_ms: timeoutMs,
    has_stdin: stdin !== undefined,
  });
}

/**
 * Starts a command. `line` is `encodeExecRequest(request)`. When this rejects with `guest` or `timeout` the command may
 * have been started all the same; the guest kills it as soon as it learns that nobody listens.
 */
export async function startExec(
  session: YamuxSession,
  request: ExecRequest,
  line: Buffer,
  signal: AbortSignal,
  timings: ExecTimings,
): Promise<ExecSession> {
  const options: CallOptions = { signal, callMs: timings.callMs };
  return new ExecCall(await openCall(session, 'exec', line, options), request, signal, timings);
}

class ExecCall implements ExecSession, AsyncIterator<ExecEvent> {
  readonly #call: AnsweredCall;
  readonly #frames: ExecFrameReader;
  readonly #watch: ExecWatch;
  readonly #stdin: StdinPump | null;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  #pendingSignals = 0;
  #isIterated = false;
  #isOver = false;

  constructor(call: AnsweredCall, request: ExecRequest, signal: AbortSignal, timings: ExecTimings) {
    this.#call = call;
    this.#frames = new ExecFrameReader(call.stream, call.rest);
    this.#watch = new ExecWatch({
      limitMs: request.timeoutMs + timings.execMarginMs,
      marginMs: timings.execMarginMs,
      unreadMs: timings.execUnreadMs,
      onExpired: (reason) => this.#abandon(reason),
    });
    this.#signal = signal;
    this.#onAbort = () => this.#abandon(abortError(signal, 'the command'));
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#stdin = request.stdin === undefined ? null : new StdinPump(call.stream, request.stdin);
    this.#stdin?.run().catch((error: unknown) => this.#onStdinFailed(error));
  }

  [Symbol.asyncIterator](): AsyncIterator<ExecEvent> {
    invariant(!this.#isIterated, 'a command can be iterated once');
    this.#isIterated = true;
    return this;
  }

  async next(): Promise<IteratorResult<ExecEvent>> {
    if (this.#isOver) return { done: true, value: undefined };
    this.#watch.readerWaits();
    const event = await this.#nextEvent();
    this.#watch.readerHas();
    if (event.type === 'outcome') this.#finish();
    return { done: false, value: event };
  }

  async return(): Promise<IteratorResult<ExecEvent>> {
    if (!this.#isOver) {
      this.#abandon(new AppError('guest', 'nobody reads the command any more'));
      this.#finish();
    }
    return { done: true, value: undefined };
  }

  kill(signal: string): void {
    if (!/^[A-Z][A-Z0-9+-]{0,15}$/.test(signal))
      throw new AppError('invalid', `not the name of a signal: ${JSON.stringify(signal)}`);
    if (this.#isOver || this.#pendingSignals === pendingSignalsMax) return;
    this.#pendingSignals += 1;
    const settled = () => {
      this.#pendingSignals -= 1;
    };
    this.#call.stream.write(encodeExecFrame(frameTypes.signal, Buffer.from(signal))).then(settled, settled);
  }

  async #nextEvent(): Promise<ExecEvent> {
    try {
      return await this.#frames.next();
    } catch (error) {
      this.#abandon(new AppError('guest', 'the command was given up', { cause: error }));
      const reason = error instanceof Error ? error.message : String(error);
      return { type: 'outcome', outcome: { outcome: 'unknown', reason } };
    }
  }

  /** A command that was fed only part of its input must not take it for all of it. */
  #onStdinFailed(error: unknown): void {
    const words = error instanceof Error ? error.message : String(error);
    this.#abandon(new AppError('guest', `standard input failed: ${words}`, { cause: error }));
  }

  /** Kills the command's process group; a waiting reader gets `reason` as the unknown outcome. */
  #abandon(reason: AppError): void {
    if (this.#isOver) return;
    this.kill('KILL');
    this.#call.stream.reset(reason);
    this.#stopHelpers();
  }

  #finish(): void {
    this.#isOver = true;
    this.#call.stream.close(performance.now());
    this.#stopHelpers();
  }

  #stopHelpers(): void {
    this.#watch.stop();
    this.#stdin?.stop();
    this.#signal.removeEventListener('abort', this.#onAbort);
  }
}

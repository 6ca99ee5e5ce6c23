/** Commands that live as long as their caller: the host's end of a `start` that is not owned. */
import { AppError } from '../core/errors.ts';
import type { ExecEvent, ExecRequest, ExecSession } from '../core/ports/guest.ts';
import { shortId } from '../lib/ids.ts';
import { invariant } from '../lib/invariant.ts';
import { type AnsweredCall, abortError, type CallOptions, openCall } from './calls.ts';
import { callSignal, checkSignalName } from './command-calls.ts';
import { ExecFrameReader } from './exec-frames.ts';
import { encodeExecV1, encodeStart } from './exec-request.ts';
import { ExecWatch } from './exec-watch.ts';
import { FramePump, stdinFrames } from './frame-pump.ts';
import { encodeFrame } from './frames.ts';
import { frameTypes } from './protocol.ts';
import type { YamuxSession } from './yamux/session.ts';

export interface ExecTimings {
  readonly callMs: number;
  readonly execMarginMs: number;
  readonly execUnreadMs: number;
}

/** Limit of signals that wait for the guest. */
const pendingSignalsMax = 16;

/**
 * Starts a command that lives as long as its call. If this rejects with `guest` or `timeout`, the command may
 * have been started; the guest kills it as soon as it learns that the host has left.
 */
export async function startExec(
  session: YamuxSession,
  protocolVersion: number,
  request: ExecRequest,
  signal: AbortSignal,
  timings: ExecTimings,
): Promise<ExecSession> {
  const options: CallOptions = { signal, callMs: timings.callMs };
  if (protocolVersion === 1) {
    const call = await openCall(session, 'exec', encodeExecV1(request), options);
    const sendSignal: SendSignal = (name) =>
      call.stream.write(encodeFrame(frameTypes.signal, Buffer.from(name)));
    return new ExecCall(call, request, signal, timings, sendSignal);
  }
  const id = shortId();
  const start = encodeStart({ ...request, id, hasStdin: request.stdin !== undefined }, false);
  const call = await openCall(session, 'start', start, options);
  const never = new AbortController().signal;
  const sendSignal: SendSignal = (name) => callSignal(session, id, name, { ...options, signal: never });
  return new ExecCall(call, request, signal, timings, sendSignal);
}

/** Sends a signal by name; rejects when the command or its link is gone. */
type SendSignal = (name: string) => Promise<void>;

class ExecCall implements ExecSession, AsyncIterator<ExecEvent> {
  readonly #call: AnsweredCall;
  readonly #frames: ExecFrameReader;
  readonly #watch: ExecWatch;
  readonly #stdin: FramePump | null;
  readonly #signal: AbortSignal;
  readonly #sendSignal: SendSignal;
  readonly #onAbort: () => void;
  #pendingSignals = 0;
  #isIterated = false;
  #isOver = false;

  constructor(
    call: AnsweredCall,
    request: ExecRequest,
    signal: AbortSignal,
    timings: ExecTimings,
    sendSignal: SendSignal,
  ) {
    this.#call = call;
    this.#sendSignal = sendSignal;
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
    this.#stdin = request.stdin === undefined ? null : new FramePump(call.stream, request.stdin, stdinFrames);
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
    checkSignalName(signal);
    if (this.#isOver || this.#pendingSignals === pendingSignalsMax) return;
    this.#pendingSignals += 1;
    const settled = () => {
      this.#pendingSignals -= 1;
    };
    // A command that has ended meanwhile needs no signal.
    this.#sendSignal(signal).then(settled, settled);
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

  /** A command must not mistake partial input for complete input. */
  #onStdinFailed(error: unknown): void {
    const words = error instanceof Error ? error.message : String(error);
    this.#abandon(new AppError('guest', `standard input failed: ${words}`, { cause: error }));
  }

  /**
   * Kills the command: the guest does that when its stream is reset. A waiting reader gets `reason` as an
   * unknown outcome.
   */
  #abandon(reason: AppError): void {
    if (this.#isOver) return;
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

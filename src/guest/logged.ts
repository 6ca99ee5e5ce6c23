/** Implements `GuestLogged` on the links of `GuestClient`: the call `start_logged`; parts 3 and 4 of `protocol.ts`. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { GuestTarget } from '../core/ports/guest.ts';
import type { GuestLogged, LoggedCommand, LoggedEvent, LoggedRequest } from '../core/ports/guest-logged.ts';
import { shortId } from '../lib/ids.ts';
import type { AgentSession } from './agent-session.ts';
import { type AnsweredCall, abortError, type CallOptions, openCall } from './calls.ts';
import { encodeStartLogged } from './exec-request.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import { cleanWords, parseLine } from './lines.ts';
import { frameTypes } from './protocol.ts';

export interface LoggedClientOptions {
  /** The session of a link that is up, or comes up in time. */
  readonly session: (target: GuestTarget, signal: AbortSignal) => Promise<AgentSession>;
  readonly callMs: number;
  /** Limit from letting a command go to the outcome. */
  readonly letGoMs: number;
}

const startedSchema = z.object({ pid: z.int().min(1), log: z.string().startsWith('/').max(8192) });
const shared = { log: z.enum(['removed', 'kept', 'gone']), is_full: z.boolean() };
const endSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('exited'), exit_code: z.int().min(0).max(255), ...shared }),
  z.object({ outcome: z.literal('signalled'), signal: z.string().regex(/^[A-Z0-9+-]{1,16}$/), ...shared }),
  z.object({ outcome: z.literal('running'), ...shared }),
]);

export class LoggedClient implements GuestLogged {
  readonly #options: LoggedClientOptions;

  constructor(options: LoggedClientOptions) {
    this.#options = options;
  }

  async start(target: GuestTarget, request: LoggedRequest, signal: AbortSignal): Promise<LoggedCommand> {
    const line = encodeStartLogged(shortId(), request);
    const { callMs, letGoMs } = this.#options;
    const options: CallOptions = { signal, callMs };
    const session = await this.#options.session(target, signal);
    const { features, agentVersion } = await session.hello(options);
    if (!features.includes('logged')) {
      throw new AppError('unsupported', `the guest agent (${agentVersion}) keeps no logs of commands`, {
        hint: 'Restart the machine to give it the current agent.',
      });
    }
    const call = await openCall(session.yamux, 'start_logged', line, options);
    const started = startedSchema.safeParse(call.results);
    if (!started.success) {
      call.stream.reset(new AppError('guest', 'the answer to start_logged is malformed'));
      throw new AppError('guest', "the guest's answer to start_logged is malformed");
    }
    const { pid, log } = started.data;
    if (request.isDetached) {
      call.stream.close(performance.now());
      return { pid, logPath: cleanWords(log), letGo: () => undefined, [Symbol.asyncIterator]: nothing };
    }
    const { outputBytesMax } = request;
    const events = new LoggedEvents(call, { signal, outputBytesMax, letGoMs });
    return {
      pid,
      logPath: cleanWords(log),
      letGo: () => events.letGo(),
      [Symbol.asyncIterator]: () => events,
    };
  }
}

async function* nothing(): AsyncGenerator<LoggedEvent> {}

interface EventsOptions {
  readonly signal: AbortSignal;
  readonly outputBytesMax: number;
  readonly letGoMs: number;
}

class LoggedEvents implements AsyncIterator<LoggedEvent> {
  readonly #call: AnsweredCall;
  readonly #frames: FrameReader;
  readonly #options: EventsOptions;
  readonly #onAbort: () => void;
  #received = 0;
  #late: NodeJS.Timeout | null = null;
  #isOver = false;

  constructor(call: AnsweredCall, options: EventsOptions) {
    this.#call = call;
    this.#options = options;
    this.#frames = new FrameReader(call.stream, call.rest, {
      noun: 'a frame of a logged command',
      last: 'the outcome',
      isKnown: (type) => type === frameTypes.stdout || type === frameTypes.outcome,
    });
    const { signal } = options;
    this.#onAbort = () => call.stream.reset(abortError(signal, 'the command'));
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  letGo(): void {
    if (this.#isOver || this.#late !== null) return;
    const { letGoMs } = this.#options;
    const late = () =>
      this.#call.stream.reset(
        new AppError('timeout', `the guest did not let go of the command in ${letGoMs} ms`),
      );
    this.#late = setTimeout(late, letGoMs);
    // A write that fails also fails the read.
    this.#call.stream.write(encodeFrame(frameTypes.letGo, Buffer.alloc(0))).catch(() => undefined);
  }

  async next(): Promise<IteratorResult<LoggedEvent>> {
    if (this.#isOver) return { done: true, value: undefined };
    const event = await this.#event();
    if (event.type !== 'output') this.#finish();
    return { done: false, value: event };
  }

  async return(): Promise<IteratorResult<LoggedEvent>> {
    if (!this.#isOver) this.#call.stream.reset(new AppError('guest', 'nobody reads the command any more'));
    this.#finish();
    return { done: true, value: undefined };
  }

  async #event(): Promise<LoggedEvent> {
    try {
      if ((await this.#frames.type()) === frameTypes.stdout) {
        const data = await this.#frames.piece();
        this.#received += data.length;
        if (this.#received > this.#options.outputBytesMax)
          throw new AppError('guest', 'the guest sent more output than asked');
        return { type: 'output', data };
      }
      return { type: 'end', end: endOf(await this.#frames.payload()) };
    } catch (error) {
      this.#call.stream.reset(new AppError('guest', 'the command was given up', { cause: error }));
      return { type: 'lost', reason: error instanceof Error ? error.message : String(error) };
    }
  }

  #finish(): void {
    this.#isOver = true;
    if (this.#late !== null) clearTimeout(this.#late);
    this.#options.signal.removeEventListener('abort', this.#onAbort);
    this.#call.stream.close(performance.now());
  }
}

function endOf(payload: Buffer) {
  const parsed = endSchema.safeParse(parseLine(payload));
  if (!parsed.success) throw new AppError('guest', 'the outcome that the guest sent is malformed');
  const { log, is_full: isFull, ...outcome } = parsed.data;
  const rest = { log, isFull };
  return outcome.outcome === 'exited'
    ? { outcome: outcome.outcome, exitCode: outcome.exit_code, ...rest }
    : { ...outcome, ...rest };
}

/** The output of an agent's command: the host's end of `attach`. */
import { AppError } from '../core/errors.ts';
import type { CommandEvent } from '../core/ports/guest-commands.ts';
import { invariant } from '../lib/invariant.ts';
import { type AnsweredCall, abortError, type CallOptions, openCall } from './calls.ts';
import { CommandFrameReader, encodeNumberFrame } from './exec-frames.ts';
import { encodeLine } from './lines.ts';
import { frameTypes } from './protocol.ts';
import type { YamuxSession } from './yamux/session.ts';

/**
 * Acknowledge taken output after this much. Counted like the guest's buffer, and less than half of the
 * smallest ring, so that a command never waits for bytes that were taken long ago.
 */
const takenCostMin = 32 * 1024;
const pieceCost = 64;

export async function attachCommand(
  session: YamuxSession,
  id: string,
  offset: number,
  options: CallOptions,
): Promise<AsyncIterable<CommandEvent>> {
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new AppError('invalid', 'an offset must be a number of bytes');
  const line = encodeLine({ call: 'attach', command: id, offset });
  return new Attachment(await openCall(session, 'attach', line, options), offset, options.signal);
}

class Attachment implements AsyncIterable<CommandEvent>, AsyncIterator<CommandEvent> {
  readonly #call: AnsweredCall;
  readonly #frames: CommandFrameReader;
  readonly #signal: AbortSignal;
  readonly #onAbort: () => void;
  /** The offset of the next event. */
  #offset: number;
  #untoldCost = 0;
  #isIterated = false;
  #isOver = false;

  constructor(call: AnsweredCall, offset: number, signal: AbortSignal) {
    this.#call = call;
    this.#frames = new CommandFrameReader(call.stream, call.rest);
    this.#offset = offset;
    this.#signal = signal;
    this.#onAbort = () => call.stream.reset(abortError(signal, 'the attachment'));
    if (signal.aborted) this.#onAbort();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  [Symbol.asyncIterator](): AsyncIterator<CommandEvent> {
    invariant(!this.#isIterated, 'an attachment can be iterated once');
    this.#isIterated = true;
    return this;
  }

  async next(): Promise<IteratorResult<CommandEvent>> {
    if (this.#isOver) return { done: true, value: undefined };
    this.#tellTaken();
    try {
      return { done: false, value: await this.#nextEvent() };
    } catch (error) {
      this.#finish();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<CommandEvent>> {
    this.#finish();
    return { done: true, value: undefined };
  }

  async #nextEvent(): Promise<CommandEvent> {
    const event = await this.#frames.next();
    if (event.type === 'outcome') this.#finish();
    if (event.type === 'lost') this.#offset += event.bytes;
    if (event.type === 'outcome' || event.type === 'lost') return event;
    const offset = this.#offset;
    this.#offset += event.data.length;
    this.#untoldCost += event.data.length + pieceCost;
    return { ...event, offset };
  }

  /** Acknowledges everything before the requested event. */
  #tellTaken(): void {
    if (this.#untoldCost < takenCostMin) return;
    this.#untoldCost = 0;
    // A failed write also fails the read.
    this.#call.stream.write(encodeNumberFrame(frameTypes.taken, this.#offset)).catch(() => undefined);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#call.stream.close(performance.now());
  }
}

/** The output of an agent's command: the host's end of `attach`. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { CommandEvent, CommandOutput, OutputBounds } from '../core/ports/guest-commands.ts';
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
): Promise<CommandOutput> {
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw new AppError('invalid', 'an offset must be a number of bytes');
  const line = encodeLine({ call: 'attach', command: id, offset });
  return new Attachment(await openCall(session, 'attach', line, options), offset, options.signal);
}

const boundsSchema = z.object({
  first_offset: z.int().min(0),
  next_offset: z.int().min(0),
  stdout_offset: z.int().min(0),
  stderr_offset: z.int().min(0),
  stdin_offset: z.int().min(0),
});

function boundsOf(results: AnsweredCall['results']): OutputBounds | null {
  if (!('first_offset' in results)) return null;
  const parsed = boundsSchema.safeParse(results);
  if (!parsed.success || parsed.data.first_offset > parsed.data.next_offset)
    throw new AppError('guest', "the guest's answer to attach is malformed");
  const { first_offset, next_offset, stdout_offset, stderr_offset, stdin_offset } = parsed.data;
  return {
    ...{ firstOffset: first_offset, nextOffset: next_offset },
    ...{ stdoutBefore: stdout_offset, stderrBefore: stderr_offset, stdinTaken: stdin_offset },
  };
}

class Attachment implements CommandOutput, AsyncIterator<CommandEvent> {
  readonly bounds: OutputBounds | null;
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
    this.bounds = boundsOf(call.results);
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
    if (!Number.isSafeInteger(this.#offset))
      throw new AppError('guest', 'the guest lost impossibly many bytes');
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

/** Frames of a command; part 4 of `protocol.ts`. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { ExecEvent, ExecOutcome } from '../core/ports/guest.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import { type ByteSource, parseLine } from './lines.ts';
import { frameTypes } from './protocol.ts';

const numberBytes = 8;

const outcomeSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('exited'), exit_code: z.int().min(0).max(255) }),
  z.object({ outcome: z.literal('signalled'), signal: z.string().regex(/^[A-Z0-9+-]{1,16}$/) }),
  z.object({ outcome: z.literal('timed_out') }),
]);

/** A frame whose payload is one number. */
export function encodeNumberFrame(type: number, number: number): Buffer {
  const payload = Buffer.alloc(numberBytes);
  payload.writeBigUInt64BE(BigInt(number));
  return encodeFrame(type, payload);
}

export type FrameEvent = ExecEvent | { readonly type: 'lost'; readonly bytes: number };

/** Parses the bytes of a call into events. Output is passed on as it arrives, split where the link split it. */
export class CommandFrameReader {
  readonly #frames: FrameReader;

  /** `received`: bytes already read from the source. */
  constructor(source: ByteSource, received: Buffer) {
    this.#frames = new FrameReader(source, received, {
      noun: 'an exec frame',
      last: 'the outcome',
      isKnown: (type) => type >= frameTypes.stdout && type <= frameTypes.lost,
    });
  }

  /** The next event; none follows `outcome`. Rejects with `guest` when the guest violates the framing. */
  async next(): Promise<FrameEvent> {
    const type = await this.#frames.type();
    if (type === frameTypes.lost) return { type: 'lost', bytes: parseNumber(await this.#frames.payload()) };
    if (type === frameTypes.outcome)
      return { type: 'outcome', outcome: parseOutcome(await this.#frames.payload()) };
    return { type: type === frameTypes.stdout ? 'stdout' : 'stderr', data: await this.#frames.piece() };
  }
}

/** The events of a command whose output is consumed completely, so none of it may be lost. */
export class ExecFrameReader {
  readonly #frames: CommandFrameReader;

  constructor(source: ByteSource, received: Buffer) {
    this.#frames = new CommandFrameReader(source, received);
  }

  async next(): Promise<ExecEvent> {
    const event = await this.#frames.next();
    if (event.type === 'lost') throw new AppError('guest', 'the guest lost output of a command');
    return event;
  }
}

function parseNumber(payload: Buffer): number {
  const number = payload.length === numberBytes ? Number(payload.readBigUInt64BE()) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw new AppError('guest', 'a number that the guest sent is malformed');
  return number;
}

function parseOutcome(payload: Buffer): ExecOutcome {
  return outcomeOf(parseLine(payload));
}

/** Converts the guest's outcome. Raises `guest`. */
export function outcomeOf(words: unknown): ExecOutcome {
  const parsed = outcomeSchema.safeParse(words);
  if (!parsed.success) throw new AppError('guest', 'the outcome that the guest sent is malformed');
  const outcome = parsed.data;
  switch (outcome.outcome) {
    case 'exited':
      return { outcome: 'exited', exitCode: outcome.exit_code };
    case 'signalled':
      return outcome;
    case 'timed_out':
      return outcome;
  }
}

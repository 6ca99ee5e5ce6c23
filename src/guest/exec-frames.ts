/** Frames of a command; part 4 of `protocol.ts`. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { ExecEvent, ExecOutcome } from '../core/ports/guest.ts';
import { type ByteSource, parseLine } from './lines.ts';
import { framePayloadBytesMax, frameTypes } from './protocol.ts';

const frameHeaderBytes = 5;
const numberBytes = 8;

const outcomeSchema = z.discriminatedUnion('outcome', [
  z.object({ outcome: z.literal('exited'), exit_code: z.int().min(0).max(255) }),
  z.object({ outcome: z.literal('signalled'), signal: z.string().regex(/^[A-Z0-9+-]{1,16}$/) }),
  z.object({ outcome: z.literal('timed_out') }),
]);

/** `payload`: at most 64 KiB. */
export function encodeExecFrame(type: number, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  frame.writeUInt8(type, 0);
  frame.writeUInt32BE(payload.length, 1);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

/** A frame whose payload is one number. */
export function encodeNumberFrame(type: number, number: number): Buffer {
  const payload = Buffer.alloc(numberBytes);
  payload.writeBigUInt64BE(BigInt(number));
  return encodeExecFrame(type, payload);
}

export type FrameEvent = ExecEvent | { readonly type: 'lost'; readonly bytes: number };

/**
 * Parses the bytes of a call into events. Output is passed on as it arrives, split where the link split it.
 */
export class CommandFrameReader {
  readonly #source: ByteSource;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #chunk: Buffer;
  #headerBytes = 0;
  #type = 0;
  #payloadLeft = 0;

  /** `received`: bytes already read from the source. */
  constructor(source: ByteSource, received: Buffer) {
    this.#source = source;
    this.#chunk = received;
  }

  /** The next event; none follows `outcome`. Rejects with `guest` when the guest violates the framing. */
  async next(): Promise<FrameEvent> {
    if (this.#payloadLeft === 0) await this.#readHeader();
    if (this.#type === frameTypes.lost)
      return { type: 'lost', bytes: parseNumber(await this.#readPayload()) };
    if (this.#type === frameTypes.outcome) {
      const outcome = parseOutcome(await this.#readPayload());
      return { type: 'outcome', outcome };
    }
    const data = await this.#take(this.#payloadLeft);
    this.#payloadLeft -= data.length;
    return { type: this.#type === frameTypes.stdout ? 'stdout' : 'stderr', data };
  }

  async #readHeader(): Promise<void> {
    while (this.#headerBytes < frameHeaderBytes) {
      const piece = await this.#take(frameHeaderBytes - this.#headerBytes);
      this.#header.set(piece, this.#headerBytes);
      this.#headerBytes += piece.length;
    }
    this.#headerBytes = 0;
    this.#type = this.#header.readUInt8(0);
    this.#payloadLeft = this.#header.readUInt32BE(1);
    if (this.#type < frameTypes.stdout || this.#type > frameTypes.lost)
      throw new AppError('guest', `the guest sent an exec frame of type ${this.#type}`);
    if (this.#payloadLeft === 0 || this.#payloadLeft > framePayloadBytesMax)
      throw new AppError('guest', `the guest sent an exec frame of ${this.#payloadLeft} bytes`);
  }

  async #readPayload(): Promise<Buffer> {
    const payload = Buffer.allocUnsafe(this.#payloadLeft);
    while (this.#payloadLeft > 0) {
      const piece = await this.#take(this.#payloadLeft);
      payload.set(piece, payload.length - this.#payloadLeft);
      this.#payloadLeft -= piece.length;
    }
    return payload;
  }

  /** At least one byte, at most `bytesMax`. */
  async #take(bytesMax: number): Promise<Buffer> {
    while (this.#chunk.length === 0) {
      const chunk = await this.#source.read();
      if (chunk === null) throw new AppError('guest', 'the guest ended the call before the outcome');
      this.#chunk = chunk;
    }
    const piece = this.#chunk.subarray(0, bytesMax);
    this.#chunk = this.#chunk.subarray(piece.length);
    return piece;
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

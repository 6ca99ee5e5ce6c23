/**
 * One end of a yamux session over one carrier. The host is always the client; the server end is for fake
 * guests. A peer's misbehaviour (a malformed frame, an overrun window, unread answers, a flood of empty
 * frames) ends only this session, with an error.
 *
 * Each stream's window limits the bytes that wait here for its reader. The carrier is paused only while the
 * peer exceeds the budget of a turn of the event loop (`intake.ts`).
 */
import type { Duplex } from 'node:stream';
import { AppError, wrapError } from '../../core/errors.ts';
import { passedOn } from '../../lib/passing-buffers.ts';
import {
  encodeHeader,
  type FrameHeader,
  FrameParser,
  type FrameType,
  frameFlag,
  frameType,
  goAwayCode,
  initialWindowBytes,
  ProtocolError,
} from './frames.ts';
import { Intake } from './intake.ts';
import { Liveness } from './liveness.ts';
import { type StreamOwner, YamuxStream } from './stream.ts';

/**
 * How much the guest may send ahead on streams that we open: a balance of throughput and memory per stream.
 */
export const receiveWindowBytes = 1024 * 1024;
const ownStreamsMax = 256;
const peerStreamsMax = 16;
/**
 * Frames wait here only while the peer does not read; more control frames than this mean that it never will.
 */
const carrierBacklogBytesMax = 1024 * 1024;
const streamIdMax = 0xffff_ffff;
/**
 * Limit of frames without effect between two of our pings; an honest peer has no reason to send them. Answers
 * to our pings and frames that cross a reset are far fewer.
 */
export const emptyFramesMax = 4096;
/** hashicorp/yamux grants at least half a window at a time; much smaller updates are a flood. */
const grantBytesMin = 1024;

/** The peer sent too many empty frames; its link must not be redialled at once. */
export class LinkFloodError extends AppError {
  constructor() {
    super('guest', 'the guest floods its link with empty frames');
  }
}

export interface SessionOptions {
  readonly pingIntervalMs: number;
  readonly pingDeadlineMs: number;
  readonly closeLingerMs: number;
  /** The client opens streams with odd ids. Default: `client`. */
  readonly role?: 'client' | 'server';
  /** Accepts a stream opened by the peer. Must not throw. */
  readonly onStream: (stream: YamuxStream) => void;
}

export class YamuxSession implements StreamOwner {
  /**
   * Resolves when the session is over, with the reason: `guest`, or `timeout` when pings were not answered.
   */
  readonly closed: Promise<AppError>;
  readonly #carrier: Duplex;
  readonly #options: SessionOptions;
  readonly #liveness: Liveness;
  readonly #resolveClosed: (reason: AppError) => void;
  readonly #streams = new Map<number, YamuxStream>();
  readonly #waitingForCarrier = new Set<YamuxStream>();
  readonly #parser: FrameParser;
  #bodyStream: YamuxStream | null = null;
  #bodyEndsStream = false;
  #nextId: number;
  #peerIdMax = 0;
  #peerStreams = 0;
  #isGoingAway = false;
  #isCorked = false;
  #emptyFrames = 0;
  readonly #intake: Intake;
  #error: AppError | null = null;

  /** Takes ownership of the carrier; `received` are bytes of this session that were already read from it. */
  constructor(carrier: Duplex, received: Buffer, options: SessionOptions) {
    const { promise, resolve } = Promise.withResolvers<AppError>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.#carrier = carrier;
    this.#options = options;
    this.#nextId = options.role === 'server' ? 2 : 1;
    this.#parser = new FrameParser({
      onHeader: (header) => this.#onHeader(header),
      onBody: (piece) => this.#bodyStream?.receive(piece),
      onBodyEnd: () => this.#onBodyEnd(),
    });
    this.#intake = new Intake(carrier, (bytes, framesMax) => this.#take(bytes, framesMax));
    this.#liveness = new Liveness({
      intervalMs: options.pingIntervalMs,
      deadlineMs: options.pingDeadlineMs,
      sendPing: (number) => this.#sendControl(frameType.ping, frameFlag.syn, 0, number),
      onDeath: () => this.#onDeath(),
      onTick: (nowMs) => this.#onTick(nowMs),
    });
    carrier.on('data', (chunk: Buffer) => this.#onChunk(chunk));
    carrier.on('drain', () => this.#onDrain());
    carrier.on('error', (error: Error) => this.#onCarrierGone(error));
    carrier.on('end', () => this.#onCarrierGone());
    carrier.on('close', () => this.#onCarrierGone());
    if (received.length > 0) this.#onChunk(received);
    if (carrier.destroyed) this.#onCarrierGone();
    else carrier.resume();
  }

  /** False once the session is over or the guest accepts no more calls. */
  get isOpen(): boolean {
    return this.#error === null && !this.#isGoingAway;
  }

  get isCongested(): boolean {
    return this.#carrier.writableNeedDrain;
  }

  /** Opens a stream; the guest learns of it with the first write. Throws `guest` or `exhausted`. */
  open(): YamuxStream {
    if (this.#error !== null) throw this.#error;
    if (this.#isGoingAway) throw new AppError('guest', 'the guest accepts no more calls on this link');
    if (this.#streams.size - this.#peerStreams >= ownStreamsMax)
      throw new AppError('exhausted', `more than ${ownStreamsMax} calls to one guest at once`);
    const stream = new YamuxStream(this.#nextId, this, receiveWindowBytes);
    this.#nextId += 2;
    if (this.#nextId > streamIdMax) this.#isGoingAway = true;
    this.#streams.set(stream.id, stream);
    const more = receiveWindowBytes - initialWindowBytes;
    this.#sendControl(frameType.windowUpdate, frameFlag.syn, stream.id, more);
    return stream;
  }

  /** Ends the session: open streams fail with `reason`, the carrier is destroyed. Idempotent. */
  close(reason: AppError): void {
    this.#end(reason, goAwayCode.normal);
  }

  /** See Liveness.setQuiet. */
  setQuiet(isQuiet: boolean): void {
    this.#liveness.setQuiet(isQuiet);
  }

  send(type: FrameType, flags: number, streamId: number, length: number, body?: Uint8Array): void {
    if (this.#error !== null) return;
    if (body === undefined) {
      this.#sendControl(type, flags, streamId, length);
      return;
    }
    this.#cork();
    this.#carrier.write(encodeHeader(type, flags, streamId, length));
    this.#carrier.write(body);
  }

  waitForCarrier(stream: YamuxStream): void {
    this.#waitingForCarrier.add(stream);
  }

  forget(stream: YamuxStream): void {
    this.#waitingForCarrier.delete(stream);
    if (!this.#streams.delete(stream.id)) return;
    if (this.#isPeerId(stream.id)) this.#peerStreams -= 1;
    if (this.#isGoingAway && this.#streams.size === 0)
      this.close(new AppError('guest', 'the guest ended the link'));
  }

  #sendControl(type: FrameType, flags: number, streamId: number, length: number): void {
    if (this.#error !== null) return;
    if (this.#carrier.writableLength > carrierBacklogBytesMax) {
      this.#end(new AppError('guest', 'the guest does not read its link'), goAwayCode.internalError);
      return;
    }
    this.#cork();
    this.#carrier.write(encodeHeader(type, flags, streamId, length));
  }

  /** Sends all frames of one turn of the event loop in one system call. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#carrier.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#carrier.uncork();
    });
  }

  #onChunk(chunk: Buffer): void {
    if (this.#error !== null) return;
    this.#liveness.heard();
    passedOn(chunk.length);
    this.#intake.push(chunk);
  }

  #take(bytes: Buffer, framesMax: number): { readonly bytes: number; readonly frames: number } {
    try {
      return this.#parser.push(bytes, framesMax);
    } catch (error) {
      if (error instanceof ProtocolError) {
        const reason = new AppError('guest', `the guest broke the link's protocol: ${error.message}`);
        this.#end(reason, goAwayCode.protocolError);
      } else if (error instanceof LinkFloodError) this.#end(error, goAwayCode.protocolError);
      else this.#end(wrapError(error, 'read from the guest link'), goAwayCode.internalError);
      return { bytes: bytes.length, frames: 0 };
    }
  }

  /** Counts a frame without effect; throws when there are too many. */
  #onEmptyFrame(): void {
    this.#emptyFrames += 1;
    if (this.#emptyFrames > emptyFramesMax) throw new LinkFloodError();
  }

  #onHeader(header: FrameHeader): void {
    this.#bodyStream = null;
    this.#bodyEndsStream = false;
    if (isEmpty(header)) this.#onEmptyFrame();
    if (header.type === frameType.ping) this.#onPing(header);
    else if (header.type === frameType.goAway) this.#onGoAway(header.length);
    else this.#onStreamFrame(header);
  }

  #onStreamFrame({ type, flags, streamId, length }: FrameHeader): void {
    if ((flags & frameFlag.syn) !== 0) this.#onSyn(streamId);
    else this.#checkIdIsUsed(streamId);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (!isEmpty({ type, flags, streamId, length })) this.#onEmptyFrame();
      // Data sent before the peer learnt of our reset; never more than its window.
      if (type === frameType.data && length > receiveWindowBytes)
        throw new ProtocolError(`${length} bytes for a stream that is over`);
      return;
    }
    if ((flags & frameFlag.rst) !== 0) {
      stream.receiveReset();
      return;
    }
    const ends = (flags & frameFlag.fin) !== 0;
    if (type === frameType.data) {
      stream.receiveData(length);
      this.#bodyStream = stream;
      this.#bodyEndsStream = ends;
      return;
    }
    stream.receiveWindowUpdate(length);
    if (ends) stream.receiveEnd();
  }

  #onBodyEnd(): void {
    if (this.#bodyEndsStream) this.#bodyStream?.receiveEnd();
    this.#bodyStream = null;
  }

  #onSyn(streamId: number): void {
    if (!this.#isPeerId(streamId) || streamId <= this.#peerIdMax)
      throw new ProtocolError(`the guest opened stream ${streamId}`);
    this.#peerIdMax = streamId;
    if (this.#peerStreams >= peerStreamsMax || !this.isOpen) {
      this.#sendControl(frameType.windowUpdate, frameFlag.rst, streamId, 0);
      return;
    }
    const stream = new YamuxStream(streamId, this, initialWindowBytes);
    this.#streams.set(streamId, stream);
    this.#peerStreams += 1;
    this.#sendControl(frameType.windowUpdate, frameFlag.ack, streamId, 0);
    this.#options.onStream(stream);
  }

  #isPeerId(streamId: number): boolean {
    return streamId % 2 !== this.#nextId % 2;
  }

  #checkIdIsUsed(streamId: number): void {
    const isUsed = this.#isPeerId(streamId) ? streamId <= this.#peerIdMax : streamId < this.#nextId;
    if (!isUsed) throw new ProtocolError(`frame for stream ${streamId}, which nobody opened`);
  }

  #onPing({ flags, length }: FrameHeader): void {
    if ((flags & frameFlag.syn) !== 0) this.#sendControl(frameType.ping, frameFlag.ack, 0, length);
  }

  #onGoAway(code: number): void {
    this.#isGoingAway = true;
    if (code === goAwayCode.normal && this.#streams.size > 0) return;
    this.close(new AppError('guest', `the guest ended the link (code ${code})`));
  }

  #onDrain(): void {
    while (!this.isCongested && this.#error === null) {
      const [stream] = this.#waitingForCarrier;
      if (stream === undefined) return;
      this.#waitingForCarrier.delete(stream);
      stream.pump();
    }
  }

  #onDeath(): void {
    const ms = this.#options.pingDeadlineMs;
    this.close(new AppError('timeout', `the guest did not answer a ping within ${ms} ms`));
  }

  #onTick(nowMs: number): void {
    this.#emptyFrames = 0;
    const before = nowMs - this.#options.closeLingerMs;
    for (const stream of this.#streams.values())
      if (stream.closedAtMs !== null && stream.closedAtMs <= before)
        stream.reset(new AppError('guest', 'the guest did not end its call'));
  }

  #onCarrierGone(cause?: Error): void {
    const options = cause === undefined ? {} : { cause };
    this.close(new AppError('guest', 'the guest link was lost', options));
  }

  #end(reason: AppError, code: number): void {
    if (this.#error !== null) return;
    if (!this.#carrier.destroyed) this.#carrier.write(encodeHeader(frameType.goAway, 0, 0, code));
    this.#error = reason;
    this.#liveness.stop();
    this.#intake.stop();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.#waitingForCarrier.clear();
    for (const stream of streams) stream.fail(reason);
    // Sends pending frames, but does not wait for a peer that does not read.
    process.nextTick(() => {
      this.#carrier.destroy();
      this.#resolveClosed(reason);
    });
  }
}

function isEmpty({ type, flags, length }: FrameHeader): boolean {
  if (type === frameType.ping) return true;
  if (type === frameType.data) return flags === 0 && length === 0;
  return type === frameType.windowUpdate && flags === 0 && length < grantBytesMin;
}

/**
 * One end of a yamux session over one carrier; the host is always the client, the server end is for fake guests. What the peer does wrong (a malformed frame, an overrun window,
 * a flood that it does not read the answers to) ends this session with an error and touches nothing else.
 *
 * The carrier is never paused: each stream's window bounds what can wait here for its reader.
 */
import type { Duplex } from 'node:stream';
import { AppError, wrapError } from '../../core/errors.ts';
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
import { Liveness } from './liveness.ts';
import { type StreamOwner, YamuxStream } from './stream.ts';

/** What we let the guest send ahead on streams that we open: throughput, and the most one stream can hold here. */
export const receiveWindowBytes = 1024 * 1024;
const ownStreamsMax = 256;
const peerStreamsMax = 16;
/** Frames wait here only while the peer does not read: control frames beyond this mean that it never will. */
const carrierBacklogBytesMax = 1024 * 1024;
const streamIdMax = 0xffff_ffff;

export interface SessionOptions {
  readonly pingIntervalMs: number;
  readonly pingDeadlineMs: number;
  readonly closeLingerMs: number;
  /** Who opens odd streams; default `client`. */
  readonly role?: 'client' | 'server';
  /** Takes a stream that the peer opened. Must not throw. */
  readonly onStream: (stream: YamuxStream) => void;
}

export class YamuxSession implements StreamOwner {
  /** Resolves, when the session is over, with the reason: `guest`, or `timeout` when pings were not answered. */
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
  #error: AppError | null = null;

  /** Takes the carrier over; `received` are bytes of this session that were read from it already. */
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
    this.#liveness = new Liveness({
      intervalMs: options.pingIntervalMs,
      deadlineMs: options.pingDeadlineMs,
      sendPing: (number) => this.#sendControl(frameType.ping, frameFlag.syn, 0, number),
      onDeath: () => this.#onDeath(),
      onTick: (nowMs) => this.#resetLingering(nowMs),
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

  /** False once the session is over or the guest asked for no more calls. */
  get isOpen(): boolean {
    return this.#error === null && !this.#isGoingAway;
  }

  get isCongested(): boolean {
    return this.#carrier.writableNeedDrain;
  }

  /** Opens a stream; the guest hears of it with the first write. Throws `guest` or `exhausted`. */
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

  /** Ends the session: open streams fail with `reason`, the carrier is destroyed. Harmless when it is over. */
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

  /** All frames of one turn of the event loop leave in one system call. */
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
    try {
      this.#parser.push(chunk);
    } catch (error) {
      if (error instanceof ProtocolError) {
        const reason = new AppError('guest', `the guest broke the link's protocol: ${error.message}`);
        this.#end(reason, goAwayCode.protocolError);
      } else this.#end(wrapError(error, 'read from the guest link'), goAwayCode.internalError);
    }
  }

  #onHeader(header: FrameHeader): void {
    this.#bodyStream = null;
    this.#bodyEndsStream = false;
    if (header.type === frameType.ping) this.#onPing(header);
    else if (header.type === frameType.goAway) this.#onGoAway(header.length);
    else this.#onStreamFrame(header);
  }

  #onStreamFrame({ type, flags, streamId, length }: FrameHeader): void {
    if ((flags & frameFlag.syn) !== 0) this.#onSyn(streamId);
    else this.#checkIdIsUsed(streamId);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      // What was on its way when we reset the stream; never more than the window it was sent against.
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

  #resetLingering(nowMs: number): void {
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
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    this.#waitingForCarrier.clear();
    for (const stream of streams) stream.fail(reason);
    // Let what is corked leave; a peer that does not read is not waited for.
    process.nextTick(() => {
      this.#carrier.destroy();
      this.#resolveClosed(reason);
    });
  }
}

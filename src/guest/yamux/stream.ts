/**
 * One yamux stream: a byte stream in each direction, each limited by a window.
 *
 * Reading grants window: bytes count as taken when `read` returns them, and the peer gets an update when half
 * the window was taken. So at most one window of bytes waits here, and a slow reader slows only its own peer.
 */
import { AppError } from '../../core/errors.ts';
import { invariant } from '../../lib/invariant.ts';
import { ChunkQueue } from './chunk-queue.ts';
import { type FrameType, frameFlag, frameType, initialWindowBytes, ProtocolError } from './frames.ts';

/** Size of one data frame; lets streams take turns, so that a frame waits only briefly behind another. */
const dataFrameBytesMax = 64 * 1024;
/** No honest peer grants more to one stream; endless growth would be a flood that costs the peer nothing. */
const sendWindowBytesMax = 16 * 1024 * 1024;
/** Writers wait for their writes; this many pending at once is a bug. */
const pendingWritesMax = 1024;

/** What a stream requires of its session. */
export interface StreamOwner {
  /** True while the carrier accepts no more data; control frames may still be sent. */
  readonly isCongested: boolean;
  send(type: FrameType, flags: number, streamId: number, length: number, body?: Uint8Array): void;
  /** Calls `stream.pump()` once the carrier accepts data again. */
  waitForCarrier(stream: YamuxStream): void;
  /** The stream is closed on both sides, or was reset: its id may be forgotten. */
  forget(stream: YamuxStream): void;
}

interface PendingWrite {
  readonly data: Uint8Array;
  offset: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface PendingRead {
  readonly resolve: (chunk: Buffer | null) => void;
  readonly reject: (error: Error) => void;
}

export class YamuxStream {
  readonly id: number;
  readonly #owner: StreamOwner;
  readonly #receiveWindowMax: number;
  readonly #inbox = new ChunkQueue();
  readonly #outbox: PendingWrite[] = [];
  #pendingRead: PendingRead | null = null;
  #sendWindow = initialWindowBytes;
  #receiveWindow: number;
  #taken = 0;
  #hasRemoteEnded = false;
  #wantsEnd = false;
  #hasEnded = false;
  #isDiscarding = false;
  #error: Error | null = null;
  #closedAtMs: number | null = null;

  /** `receiveWindow`: the window that the peer knows at the start. */
  constructor(id: number, owner: StreamOwner, receiveWindow: number) {
    this.id = id;
    this.#owner = owner;
    this.#receiveWindowMax = receiveWindow;
    this.#receiveWindow = receiveWindow;
  }

  /** When `close` was called, on the monotonic clock; null before. */
  get closedAtMs(): number | null {
    return this.#closedAtMs;
  }

  /** Bytes received and not yet read. */
  get queuedBytes(): number {
    return this.#inbox.length;
  }

  /**
   * The next bytes; null when the peer has ended its half. After a reset or the session's end, first returns
   * what had arrived, then rejects with the reason. One read at a time.
   */
  read(): Promise<Buffer | null> {
    invariant(this.#pendingRead === null, 'two reads of one stream at once');
    const chunk = this.#inbox.shift();
    if (chunk !== null) {
      this.#grant(chunk.length);
      return Promise.resolve(chunk);
    }
    if (this.#hasRemoteEnded) return Promise.resolve(null);
    if (this.#error !== null) return Promise.reject(this.#error);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer | null>();
    this.#pendingRead = { resolve, reject };
    return promise;
  }

  /** Resolves when the carrier has accepted all of `data`, which must not change until then. */
  write(data: Uint8Array): Promise<void> {
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#wantsEnd) return Promise.reject(new AppError('internal', 'write after the end of a stream'));
    invariant(this.#outbox.length < pendingWritesMax, 'too many writes of one stream at once');
    if (data.length === 0) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#outbox.push({ data, offset: 0, resolve, reject });
    if (this.#outbox.length === 1) this.pump();
    return promise;
  }

  /** Ends our half after pending writes; reading continues. */
  end(): void {
    if (this.#wantsEnd || this.#error !== null) return;
    this.#wantsEnd = true;
    this.pump();
  }

  /**
   * Ends our half and drops further input. The session resets the stream if the peer does not end its half
   * too.
   */
  close(nowMs: number): void {
    if (this.#error !== null) return;
    this.#isDiscarding = true;
    this.#closedAtMs ??= nowMs;
    this.#inbox.clear();
    this.end();
  }

  /** Resets the stream: waiting reads and writes reject with `reason`, and the peer is notified. */
  reset(reason: Error): void {
    if (this.#error !== null) return;
    const isOver = this.#hasEnded && this.#hasRemoteEnded;
    this.#inbox.clear();
    this.fail(reason);
    if (!isOver) this.#owner.send(frameType.windowUpdate, frameFlag.rst, this.id, 0);
    this.#owner.forget(this);
  }

  // The methods below are for the session.

  /**
   * A data frame of `length` bytes begins. Throws `ProtocolError` when the peer is not allowed to send it.
   */
  receiveData(length: number): void {
    if (this.#hasRemoteEnded && length > 0)
      throw new ProtocolError(`data after the end of stream ${this.id}`);
    if (length > this.#receiveWindow) throw new ProtocolError(`stream ${this.id} overran its window`);
    this.#receiveWindow -= length;
  }

  receive(piece: Buffer): void {
    if (this.#isDiscarding || this.#error !== null) return;
    const reader = this.#pendingRead;
    if (reader === null) {
      this.#inbox.push(piece);
      return;
    }
    this.#pendingRead = null;
    this.#grant(piece.length);
    reader.resolve(piece);
  }

  receiveEnd(): void {
    if (this.#hasRemoteEnded) throw new ProtocolError(`second end of stream ${this.id}`);
    this.#hasRemoteEnded = true;
    this.#settleRead((reader) => reader.resolve(null));
    this.#forgetIfOver();
  }

  receiveReset(): void {
    this.fail(new AppError('guest', 'the guest reset the call'));
    this.#owner.forget(this);
  }

  receiveWindowUpdate(growth: number): void {
    this.#sendWindow += growth;
    if (this.#sendWindow > sendWindowBytesMax)
      throw new ProtocolError(`window of stream ${this.id} too large`);
    if (growth > 0) this.pump();
  }

  /** Fails the stream without notifying the peer; received data can still be read. */
  fail(reason: Error): void {
    if (this.#error !== null) return;
    this.#error = reason;
    this.#settleRead((reader) => reader.reject(reason));
    for (const write of this.#outbox.splice(0)) write.reject(reason);
  }

  /**
   * Sends what window and carrier allow: one frame at a time, so that streams take turns when the carrier is
   * full.
   */
  pump(): void {
    while (this.#error === null) {
      const write = this.#outbox[0];
      if (write === undefined) {
        this.#sendEnd();
        return;
      }
      if (this.#sendWindow === 0) return;
      if (this.#owner.isCongested) {
        this.#owner.waitForCarrier(this);
        return;
      }
      this.#sendPiece(write);
    }
  }

  #sendPiece(write: PendingWrite): void {
    const end = Math.min(write.data.length, write.offset + Math.min(this.#sendWindow, dataFrameBytesMax));
    const piece = write.data.subarray(write.offset, end);
    write.offset = end;
    this.#sendWindow -= piece.length;
    if (end === write.data.length) {
      this.#outbox.shift();
      write.resolve();
    }
    this.#owner.send(frameType.data, 0, this.id, piece.length, piece);
  }

  #sendEnd(): void {
    if (!this.#wantsEnd || this.#hasEnded) return;
    this.#hasEnded = true;
    this.#owner.send(frameType.windowUpdate, frameFlag.fin, this.id, 0);
    this.#forgetIfOver();
  }

  #grant(bytes: number): void {
    this.#taken += bytes;
    const isWorthAFrame = this.#taken * 2 >= this.#receiveWindowMax;
    if (!isWorthAFrame || this.#hasRemoteEnded || this.#error !== null) return;
    this.#receiveWindow += this.#taken;
    this.#owner.send(frameType.windowUpdate, 0, this.id, this.#taken);
    this.#taken = 0;
  }

  #settleRead(settle: (reader: PendingRead) => void): void {
    const reader = this.#pendingRead;
    if (reader === null) return;
    this.#pendingRead = null;
    settle(reader);
  }

  #forgetIfOver(): void {
    if (this.#hasEnded && this.#hasRemoteEnded) this.#owner.forget(this);
  }
}

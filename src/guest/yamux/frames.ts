/**
 * yamux frames (HashiCorp's specification, version 0). Every frame begins with 12 bytes, big endian: version
 * (1) ‖ type (1) ‖ flags (2) ‖ stream id (4) ‖ length (4). Only data frames have a body, of `length` bytes;
 * in other frames `length` is a value: a window's growth, a ping's number, a reason to go away.
 */
export const headerBytes = 12;

export const frameType = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const;
export type FrameType = (typeof frameType)[keyof typeof frameType];

export const frameFlag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const;
const knownFlags = frameFlag.syn | frameFlag.ack | frameFlag.fin | frameFlag.rst;

export const goAwayCode = { normal: 0, protocolError: 1, internalError: 2 } as const;

/** How much each side may send on a new stream before a window update. */
export const initialWindowBytes = 256 * 1024;

/** The other side violated the protocol; only its session ends. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

export interface FrameHeader {
  readonly type: FrameType;
  readonly flags: number;
  readonly streamId: number;
  readonly length: number;
}

export function encodeHeader(type: FrameType, flags: number, streamId: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(headerBytes);
  header.writeUInt16BE(type, 0);
  header.writeUInt16BE(flags, 2);
  header.writeUInt32BE(streamId, 4);
  header.writeUInt32BE(length, 8);
  return header;
}

/** Decodes the 12 header bytes at `offset`. Throws `ProtocolError`. */
export function decodeHeader(bytes: Buffer, offset: number): FrameHeader {
  const version = bytes.readUInt8(offset);
  if (version !== 0) throw new ProtocolError(`frame version ${version}`);
  const type = bytes.readUInt8(offset + 1);
  if (!isFrameType(type)) throw new ProtocolError(`frame type ${type}`);
  const flags = bytes.readUInt16BE(offset + 2);
  if ((flags & ~knownFlags) !== 0) throw new ProtocolError(`frame flags ${flags}`);
  const streamId = bytes.readUInt32BE(offset + 4);
  const isAboutStream = type === frameType.data || type === frameType.windowUpdate;
  if (isAboutStream !== (streamId !== 0)) throw new ProtocolError(`frame type ${type} on stream ${streamId}`);
  return { type, flags, streamId, length: bytes.readUInt32BE(offset + 8) };
}

function isFrameType(value: number): value is FrameType {
  return value <= frameType.goAway;
}

/**
 * Receives what a parser finds, in the order of the wire. Errors of its methods are thrown by
 * `FrameParser.push`.
 */
export interface FrameHandler {
  /** A frame begins. The body of a data frame follows; an empty body has no pieces. */
  onHeader(header: FrameHeader): void;
  /** A piece of the body, as a view of the pushed chunk. Never empty. */
  onBody(piece: Buffer): void;
  /** A data frame is complete. */
  onBodyEnd(): void;
}

/**
 * Parses frames from arbitrarily split chunks. Bodies are passed on as they arrive; only a split header is
 * buffered. Unusable after an error.
 */
export class FrameParser {
  readonly #handler: FrameHandler;
  readonly #cutHeader = Buffer.alloc(headerBytes);
  #cutBytes = 0;
  #bodyBytesLeft = 0;

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  /**
   * Parses the chunk, or the part of it in which at most `framesMax` frames begin. Returns the bytes parsed
   * and the frames begun. A handler stops in the middle of a chunk by throwing.
   */
  push(
    chunk: Buffer,
    framesMax = Number.POSITIVE_INFINITY,
  ): { readonly bytes: number; readonly frames: number } {
    let offset = 0;
    let frames = 0;
    while (offset < chunk.length) {
      if (this.#bodyBytesLeft > 0) offset = this.#takeBody(chunk, offset);
      else if (frames >= framesMax) break;
      else if (this.#cutBytes === 0 && chunk.length - offset >= headerBytes) {
        this.#begin(decodeHeader(chunk, offset));
        offset += headerBytes;
        frames += 1;
      } else {
        offset = this.#takeCutHeader(chunk, offset);
        if (this.#cutBytes === 0) frames += 1;
      }
    }
    return { bytes: offset, frames };
  }

  #takeBody(chunk: Buffer, offset: number): number {
    const end = Math.min(chunk.length, offset + this.#bodyBytesLeft);
    this.#bodyBytesLeft -= end - offset;
    this.#handler.onBody(chunk.subarray(offset, end));
    if (this.#bodyBytesLeft === 0) this.#handler.onBodyEnd();
    return end;
  }

  #takeCutHeader(chunk: Buffer, offset: number): number {
    const end = Math.min(chunk.length, offset + headerBytes - this.#cutBytes);
    chunk.copy(this.#cutHeader, this.#cutBytes, offset, end);
    this.#cutBytes += end - offset;
    if (this.#cutBytes === headerBytes) {
      this.#cutBytes = 0;
      this.#begin(decodeHeader(this.#cutHeader, 0));
    }
    return end;
  }

  #begin(header: FrameHeader): void {
    this.#handler.onHeader(header);
    if (header.type !== frameType.data) return;
    this.#bodyBytesLeft = header.length;
    if (header.length === 0) this.#handler.onBodyEnd();
  }
}

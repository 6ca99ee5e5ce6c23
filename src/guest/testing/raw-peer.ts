/** A hand-driven yamux peer for tests of sessions. */
import { type Duplex, duplexPair } from 'node:stream';
import { encodeHeader, type FrameHeader, FrameParser, type FrameType } from '../yamux/frames.ts';

export interface RawFrame extends FrameHeader {
  readonly body: Buffer;
}

/** The other end of a session, frame by frame: sends invalid frames and records what it receives. */
export class RawPeer {
  readonly carrier: Duplex;
  readonly frames: RawFrame[] = [];
  readonly #watchers = new Set<() => void>();
  #isClosed = false;

  constructor(carrier: Duplex) {
    this.carrier = carrier;
    let header: FrameHeader | null = null;
    let pieces: Buffer[] = [];
    const found = (frame: RawFrame) => {
      this.frames.push(frame);
      this.#notify();
    };
    const parser = new FrameParser({
      onHeader: (next) => {
        header = next;
        pieces = [];
        if (next.type !== 0) found({ ...next, body: Buffer.alloc(0) });
      },
      onBody: (piece) => pieces.push(piece),
      onBodyEnd: () => {
        if (header !== null) found({ ...header, body: Buffer.concat(pieces) });
      },
    });
    carrier.on('data', (chunk: Buffer) => parser.push(chunk));
    carrier.on('error', () => undefined);
    carrier.on('end', () => {
      this.#isClosed = true;
      this.#notify();
    });
  }

  send(type: FrameType, flags: number, streamId: number, length: number, body?: Uint8Array): void {
    this.carrier.write(encodeHeader(type, flags, streamId, length));
    if (body !== undefined) this.carrier.write(body);
  }

  /**
   * Resolves with the first frame, past or future, that `matches`. Rejects when the session ends without one.
   */
  async saw(matches: (frame: RawFrame) => boolean): Promise<RawFrame> {
    for (;;) {
      const frame = this.frames.find(matches);
      if (frame !== undefined) return frame;
      if (this.#isClosed) throw new Error('the session ended without the frame');
      await this.#changed();
    }
  }

  async closed(): Promise<void> {
    while (!this.#isClosed) await this.#changed();
  }

  #changed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const watcher = () => {
      this.#watchers.delete(watcher);
      resolve();
    };
    this.#watchers.add(watcher);
    return promise;
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

export function rawPair(): readonly [Duplex, RawPeer] {
  const [hostEnd, peerEnd] = duplexPair();
  return [hostEnd, new RawPeer(peerEnd)];
}

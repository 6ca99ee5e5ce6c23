/** Implements `GuestConnections`: the call `connect` as a stream of Node's. */
import { Duplex } from 'node:stream';
import { AppError } from '../core/errors.ts';
import type { GuestTarget } from '../core/ports/guest.ts';
import type { GuestConnections } from '../core/ports/guest-connections.ts';
import type { AgentSession } from './agent-session.ts';
import { type AnsweredCall, abortError, openCall, parseAnswer } from './calls.ts';
import { encodeFrame, FrameReader } from './frames.ts';
import { encodeLine } from './lines.ts';
import { framePayloadBytesMax, frameTypes } from './protocol.ts';

export interface ConnectionClientOptions {
  /** The session of a link that is up, or comes up in time. */
  readonly session: (target: GuestTarget, signal: AbortSignal) => Promise<AgentSession>;
  readonly callMs: number;
}

export class ConnectionClient implements GuestConnections {
  readonly #options: ConnectionClientOptions;

  constructor(options: ConnectionClientOptions) {
    this.#options = options;
  }

  async connect(target: GuestTarget, port: number, signal: AbortSignal): Promise<Duplex> {
    const options = { signal, callMs: this.#options.callMs };
    const session = await this.#options.session(target, signal);
    const { features, agentVersion } = await session.hello(options);
    if (!features.includes('connect'))
      throw new AppError('unsupported', `the guest agent (${agentVersion}) makes no connections`, {
        hint: 'Restart the machine to give it the current agent.',
      });
    // Less than the call may take, so that the guest can say why.
    const timeoutMs = Math.ceil(options.callMs / 2);
    const line = encodeLine({ call: 'connect', port, timeout_ms: timeoutMs });
    return new GuestConnection(await openCall(session.yamux, 'connect', line, options), signal);
  }
}

/** How much may wait here for its reader, beside the window of the link. */
const highWaterMark = 64 * 1024;

class GuestConnection extends Duplex {
  readonly #call: AnsweredCall;
  readonly #frames: FrameReader;
  readonly #unbind: () => void;
  #isReading = false;

  constructor(call: AnsweredCall, signal: AbortSignal) {
    super({ allowHalfOpen: true, highWaterMark });
    this.#call = call;
    this.#frames = new FrameReader(call.stream, call.rest, {
      noun: 'a frame of a connection',
      last: 'the end of the connection',
      isKnown: (type) => type === frameTypes.data || type === frameTypes.end,
    });
    const onAbort = () => this.destroy(abortError(signal, 'the connection'));
    signal.addEventListener('abort', onAbort, { once: true });
    this.#unbind = () => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  }

  override _read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#fill().catch((error: Error) => this.destroy(error));
  }

  /** Until the reader has enough, or the program has ended its output. */
  async #fill(): Promise<void> {
    for (;;) {
      if ((await this.#frames.type()) === frameTypes.end) {
        parseAnswer('connect', await this.#frames.payload());
        this.push(null);
        return;
      }
      const piece = await this.#frames.piece();
      // Before the push, which may ask for more at once.
      this.#isReading = false;
      if (!this.push(piece) || this.#isReading || this.destroyed) return;
      this.#isReading = true;
    }
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk).then(() => done(), done);
  }

  async #send(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length; at += framePayloadBytesMax) {
      const payload = chunk.subarray(at, at + framePayloadBytesMax);
      await this.#call.stream.write(encodeFrame(frameTypes.upload, payload));
    }
  }

  override _final(done: (error?: Error | null) => void): void {
    const end = encodeFrame(frameTypes.uploadEnd, Buffer.alloc(0));
    this.#call.stream.write(end).then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#unbind();
    const isWhole = error === null && this.readableEnded && this.writableFinished;
    if (isWhole) this.#call.stream.close(performance.now());
    else this.#call.stream.reset(new AppError('guest', 'the connection has ended', { cause: error }));
    done(error);
  }
}

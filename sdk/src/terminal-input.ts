/**
 * Standard input on its way to a command, over one connection after the other: at most a window of it is unacknowledged, and
 * what was not acknowledged is kept to be sent again where the command says that it has not taken it.
 */
import { Change } from './deferred.ts';
import { FlotillaError } from './errors.ts';

/** What the server allows to be unacknowledged. */
const windowBytes = 256 * 1024;
const pieceBytes = 32 * 1024;

export interface InputSink {
  sendInput(data: Uint8Array): void;
  send(message: object): void;
}

export class TerminalInput {
  #sink: InputSink | null = null;
  /** Sent and not acknowledged. */
  #pieces: Uint8Array[] = [];
  /** Bytes of this session that the command has taken, and that were sent. */
  #taken = 0;
  #sent = 0;
  /** `#taken` when the connection began, which counts from there. */
  #base = 0;
  /** How much input the command had taken before this session; null: not known yet. */
  #before: number | null = null;
  #isEnded = false;
  /** Why nothing more can be written. */
  #failure: FlotillaError | null = null;
  #turn: Promise<void> = Promise.resolve();
  readonly #changed = new Change();

  /** In order; resolves when the last byte is on its way. */
  write(data: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#write(data));
  }

  end(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#failure !== null) throw this.#failure;
      this.#isEnded = true;
      this.#sink?.send({ type: 'stdin_end' });
    });
  }

  /** Resolves when the command has taken everything, or nothing more can be passed on. */
  async flushed(): Promise<void> {
    await this.#turn;
    while (this.#pieces.length > 0 && this.#failure === null) await this.#changed.next;
  }

  /**
   * A connection has begun. `stdin`: how much input the command has taken; null: the guest agent is too old to tell, and
   * what was on its way may be lost.
   */
  connect(sink: InputSink, stdin: number | null): void {
    this.#before ??= stdin;
    if (stdin !== null && this.#before !== null) {
      const taken = Math.min(this.#sent, Math.max(this.#taken, stdin - this.#before));
      this.#take(taken - this.#taken);
    } else if (this.#pieces.length > 0) {
      this.#take(this.#sent - this.#taken);
      this.fail(inputLost());
    }
    this.#base = this.#taken;
    this.#sink = sink;
    for (const piece of this.#pieces) sink.sendInput(piece);
    if (this.#isEnded) sink.send({ type: 'stdin_end' });
    this.#changed.wake();
  }

  disconnect(): void {
    this.#sink = null;
  }

  /** The connection's acknowledgement: all bytes since it began. */
  acknowledge(bytes: number): void {
    this.#take(Math.min(this.#base + bytes, this.#sent) - this.#taken);
    this.#changed.wake();
  }

  /** Every write from now on fails. */
  fail(failure: FlotillaError): void {
    this.#failure ??= failure;
    this.#pieces = [];
    this.#changed.wake();
  }

  #inTurn(act: () => Promise<void>): Promise<void> {
    const result = this.#turn.then(act);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length; ) {
      while (this.#failure === null && (this.#sink === null || this.#room <= 0)) await this.#changed.next;
      if (this.#failure !== null) throw this.#failure;
      // A copy, because the caller may use its array again before the bytes are acknowledged.
      const piece = data.slice(at, at + Math.min(pieceBytes, this.#room));
      this.#pieces.push(piece);
      this.#sent += piece.length;
      at += piece.length;
      this.#sink?.sendInput(piece);
    }
    if (this.#failure !== null) throw this.#failure;
  }

  get #room(): number {
    return windowBytes - (this.#sent - this.#taken);
  }

  #take(bytes: number): void {
    if (bytes <= 0) return;
    this.#taken += bytes;
    let left = bytes;
    while (left > 0) {
      const [first] = this.#pieces;
      if (first === undefined) return;
      if (first.length <= left) this.#pieces.shift();
      else this.#pieces[0] = first.subarray(left);
      left -= Math.min(left, first.length);
    }
  }
}

function inputLost(): FlotillaError {
  return new FlotillaError({
    ...{ status: 0, code: 'INPUT_LOST' },
    message: 'the connection was lost, and the guest agent is too old to tell which input it has taken',
    hint: 'Restart the machine to give it the current agent.',
  });
}

/**
 * Standard input on its way from a client to a command: kept in order, passed on as fast as the command takes it, and
 * acknowledged then. At most one call to the guest is open at a time; what arrives meanwhile goes into the next one.
 */
import { isAppError } from '../../../../../core/errors.ts';
import { BadRequest } from '../../../../errors.ts';
import { SendWindow, windowBytes } from './send-window.ts';

/** Typing needs less; more is counted as the caller's memory. */
const freeBytes = 16 * 1024;

export interface InputOptions {
  /** Passes bytes on; resolves when the command has taken them. */
  readonly feed: (data: Buffer, isEnd: boolean) => Promise<void>;
  /** Counts further memory as the caller's; throws when there is no room. */
  readonly reserve: (bytes: number) => void;
  /** Called with the number of all bytes taken so far. */
  readonly onTaken: (bytes: number) => void;
  /** The command takes no more; what comes is dropped. */
  readonly onClosed: () => void;
  readonly onError: (error: unknown) => void;
}

export class Input {
  readonly #options: InputOptions;
  readonly #window = new SendWindow();
  #queue: Buffer[] = [];
  #isEnded = false;
  #isEndSent = false;
  #isClosed = false;
  #isReady = false;
  #isFeeding = false;
  #taken = 0;
  #reserved = freeBytes;

  constructor(options: InputOptions) {
    this.#options = options;
  }

  /** Raises BadRequest when the client sends more than it may, and the errors of `reserve`. */
  push(data: Buffer): void {
    if (this.#isEnded)
      throw new BadRequest('standard input was sent after its end', 'Send nothing after it.');
    if (data.length > this.#window.room)
      throw new BadRequest(
        `more than ${windowBytes} bytes of standard input are unacknowledged`,
        'Wait for `ack` before you send more.',
      );
    this.#window.send(data.length);
    const pending = this.#window.sent - this.#taken;
    if (pending > this.#reserved) {
      this.#options.reserve(pending - this.#reserved);
      this.#reserved = pending;
    }
    // A view would keep the whole chunk that came from the network.
    if (data.length > 0) this.#queue.push(Buffer.from(data));
    void this.#feed();
  }

  end(): void {
    this.#isEnded = true;
    void this.#feed();
  }

  /** The command exists; null in place of one that takes no input. */
  begin(takesInput: boolean): void {
    this.#isReady = true;
    this.#isClosed = !takesInput;
    void this.#feed();
  }

  async #feed(): Promise<void> {
    if (!this.#isReady || this.#isFeeding) return;
    this.#isFeeding = true;
    try {
      while (this.#queue.length > 0 || (this.#isEnded && !this.#isEndSent)) {
        const data = Buffer.concat(this.#queue);
        this.#queue = [];
        this.#isEndSent = this.#isEnded;
        if (!this.#isClosed) await this.#pass(data);
        this.#taken += data.length;
        this.#window.acknowledge(this.#taken);
        if (data.length > 0) this.#options.onTaken(this.#taken);
      }
    } catch (error) {
      this.#options.onError(error);
    } finally {
      this.#isFeeding = false;
    }
  }

  async #pass(data: Buffer): Promise<void> {
    try {
      await this.#options.feed(data, this.#isEndSent);
    } catch (error) {
      // It has ended or has closed its input, as any program may at any time.
      if (!isAppError(error, 'conflict') && !isAppError(error, 'not_found')) throw error;
      this.#isClosed = true;
      this.#options.onClosed();
    }
  }
}

/**
 * The output of one command as its readers see it: without gaps, also when the link to the guest is lost meanwhile. Used
 * by `CommandService`; does not know whose machine it is.
 */
import { isAppError } from '../errors.ts';
import type { ExecOutcome } from '../ports/guest.ts';
import type { CommandEvent, CommandOutput } from '../ports/guest-commands.ts';
import { CursorExpired, type OutputEvent, type OutputRequest } from './command.ts';

/** Attempts to attach again that may fail to bring anything, in a row. */
const reattachmentsMax = 3;

export interface FollowingOptions extends OutputRequest {
  readonly output: CommandOutput;
  /** End here, because the command ran on when its output reached this point. Null: end with the outcome. */
  readonly until: number | null;
  /** Bytes of each stream before `from`; null: not known. */
  readonly before: { readonly stdout: number; readonly stderr: number } | null;
  /**
   * Attaches again at a cursor after the link was lost. Resolves with the outcome when the command ended with its
   * machine's boot; rejects when nobody can tell.
   */
  readonly reattach: (cursor: number, lost: unknown) => Promise<CommandOutput | ExecOutcome>;
  /** Called once at the end, however that comes. */
  readonly onEnd: () => void;
}

export class Following implements AsyncIterable<OutputEvent>, AsyncIterator<OutputEvent> {
  readonly #options: FollowingOptions;
  readonly #offsets: { stdout: number; stderr: number } | null;
  /** See FollowingOptions. */
  readonly until: number | null;
  /** How many bytes of standard input the command had taken at the beginning; null: not known. */
  readonly stdinTaken: number | null;
  #events: AsyncIterator<CommandEvent>;
  #cursor: number;
  #reattachments = 0;
  #isOver = false;

  constructor(options: FollowingOptions) {
    this.#options = options;
    this.until = options.until;
    this.stdinTaken = options.output.bounds?.stdinTaken ?? null;
    this.#offsets = options.before === null ? null : { ...options.before };
    this.#events = options.output[Symbol.asyncIterator]();
    this.#cursor = options.from;
  }

  [Symbol.asyncIterator](): AsyncIterator<OutputEvent> {
    return this;
  }

  async next(): Promise<IteratorResult<OutputEvent>> {
    try {
      while (!this.#isOver) {
        const event = await (this.#isCaughtUp() ? this.#caughtUp() : this.#nextEvent());
        if (event !== null) return { done: false, value: event };
      }
    } catch (error) {
      await this.return();
      throw error;
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<OutputEvent>> {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#options.onEnd();
      await this.#events.return?.();
    }
    return { done: true, value: undefined };
  }

  #isCaughtUp(): boolean {
    return this.until !== null && this.#cursor >= this.until;
  }

  async #caughtUp(): Promise<OutputEvent> {
    await this.return();
    return { type: 'caught_up', cursor: this.#cursor };
  }

  /** Null: nothing that this reader asked for. */
  async #nextEvent(): Promise<OutputEvent | null> {
    const event = await this.#read();
    if (event === null) return null;
    this.#reattachments = 0;
    if (event.type === 'outcome') {
      await this.return();
      return { type: 'outcome', outcome: event.outcome, cursor: this.#cursor };
    }
    if (event.type === 'lost') throw new CursorExpired(this.#cursor, this.#cursor + event.bytes);
    const { type } = event;
    const data = this.until === null ? event.data : event.data.subarray(0, this.until - this.#cursor);
    this.#cursor += data.length;
    const offset = this.#offsets?.[type] ?? null;
    if (this.#offsets !== null) this.#offsets[type] += data.length;
    if (this.#options.stream !== undefined && this.#options.stream !== type) return null;
    return { type, data, offset, cursor: this.#cursor };
  }

  async #read(): Promise<CommandEvent | null> {
    try {
      const { done, value } = await this.#events.next();
      if (!done) return value;
      return {
        type: 'outcome',
        outcome: { outcome: 'unknown', reason: 'the guest did not say how it ended' },
      };
    } catch (error) {
      if (!isAppError(error, 'guest') || this.#reattachments === reattachmentsMax || this.#isOver)
        throw error;
      this.#reattachments += 1;
      const again = await this.#options.reattach(this.#cursor, error);
      if ('outcome' in again) return { type: 'outcome', outcome: again };
      this.#events = again[Symbol.asyncIterator]();
      // It was left while attaching.
      if (this.#isOver) await this.#events.return?.();
      return null;
    }
  }
}

/** Enforces the time limits of a command from the host's side. */
import { AppError } from '../core/errors.ts';

export interface ExecWatchOptions {
  /** Time from now in which the guest should report how the command ended. */
  readonly limitMs: number;
  /** After that, how long a waiting reader still waits. */
  readonly marginMs: number;
  /** After that, how long output may stay unread, and how long the guest may continue sending it. */
  readonly unreadMs: number;
  readonly onExpired: (reason: AppError) => void;
}

/** The maximum of setTimeout; a longer limit is reached in several steps. */
const timerMsMax = 2_147_483_647;

/**
 * The host's own limit on a command, in case the guest does not enforce it. It distinguishes a silent guest
 * from a slow reader: the outcome may have been sent in time but wait behind unread output.
 */
export class ExecWatch {
  readonly #options: ExecWatchOptions;
  #timer: NodeJS.Timeout | null = null;
  readonly #limitAt: number;
  #isReaderWaiting = false;
  #since: number;

  constructor(options: ExecWatchOptions) {
    this.#options = options;
    this.#since = performance.now();
    this.#limitAt = this.#since + options.limitMs;
    this.#arm(this.#limitAt);
  }

  readerWaits(): void {
    this.#isReaderWaiting = true;
    this.#since = performance.now();
  }

  readerHas(): void {
    this.#isReaderWaiting = false;
    this.#since = performance.now();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(at: number): void {
    const ms = Math.min(timerMsMax, Math.max(1, Math.ceil(at - performance.now())));
    this.#timer = setTimeout(() => this.#onTimer(), ms);
  }

  #onTimer(): void {
    const { marginMs, unreadMs, onExpired } = this.#options;
    const patienceMs = this.#isReaderWaiting ? marginMs : unreadMs;
    const latestAt = this.#limitAt + unreadMs;
    const expiresAt = Math.min(latestAt, Math.max(this.#limitAt, this.#since + patienceMs));
    if (performance.now() < expiresAt) this.#arm(expiresAt);
    else if (this.#isReaderWaiting)
      onExpired(new AppError('timeout', 'the guest did not say in time how the command ended'));
    else onExpired(new AppError('timeout', "nobody read the command's output"));
  }
}

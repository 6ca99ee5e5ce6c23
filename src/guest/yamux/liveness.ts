/** Detects a peer that has died without closing its connection, like a stopped VMM. */
export interface LivenessOptions {
  readonly intervalMs: number;
  /** Silence after a ping that counts as death; checked at each interval. */
  readonly deadlineMs: number;
  readonly sendPing: (number: number) => void;
  readonly onDeath: () => void;
  /** Called at each interval. */
  readonly onTick: (nowMs: number) => void;
}

/**
 * Pings at every interval. Any byte from the peer is a sign of life, because the answer may wait behind
 * output. Starts at once; `stop` ends it.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #timer: NodeJS.Timeout;
  #number = 0;
  #sentAtMs: number | null = null;
  #isQuiet = false;
  #isStopped = false;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#tick(), options.intervalMs);
  }

  /** Records that the peer has sent something. */
  heard(): void {
    this.#sentAtMs = null;
  }

  /** Marks the peer as paused: it is neither pinged nor judged, and gets the full time afterwards. */
  setQuiet(isQuiet: boolean): void {
    this.#isQuiet = isQuiet;
    this.#sentAtMs = null;
  }

  stop(): void {
    this.#isStopped = true;
    clearInterval(this.#timer);
  }

  #tick(): void {
    const nowMs = performance.now();
    this.#options.onTick(nowMs);
    if (this.#isStopped || this.#isQuiet) return;
    if (this.#sentAtMs === null) {
      this.#sentAtMs = nowMs;
      this.#options.sendPing(this.#number);
      this.#number = (this.#number + 1) >>> 0;
    } else if (nowMs - this.#sentAtMs >= this.#options.deadlineMs) this.#confirmDeath();
  }

  /**
   * If this process itself was stopped or busy, the answer may be unread in the socket: read once more, then
   * decide.
   */
  #confirmDeath(): void {
    setImmediate(() => {
      if (this.#sentAtMs !== null && !this.#isStopped) this.#options.onDeath();
    });
  }
}

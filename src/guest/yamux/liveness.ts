/** Finds out that a peer has died without closing anything, as a stopped VMM does. */
export interface LivenessOptions {
  readonly intervalMs: number;
  /** Silence after a ping that counts as death; noticed at the next interval. */
  readonly deadlineMs: number;
  readonly sendPing: (number: number) => void;
  readonly onDeath: () => void;
  /** Called at each interval. */
  readonly onTick: (nowMs: number) => void;
}

/**
 * Pings at every interval; any byte from the peer is a sign of life, since an answer may stand in line behind output.
 * Starts at once; `stop` ends it.
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

  /** The peer sent something. */
  heard(): void {
    this.#sentAtMs = null;
  }

  /** While `isQuiet` the peer is known to be silent: it is neither asked nor judged, and has all its time afterwards. */
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

  /** When this process itself was stopped or busy, the answer may lie unread in the socket: read once, then judge. */
  #confirmDeath(): void {
    setImmediate(() => {
      if (this.#sentAtMs !== null && !this.#isStopped) this.#options.onDeath();
    });
  }
}

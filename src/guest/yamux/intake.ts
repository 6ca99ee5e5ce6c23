/**
 * Feeds a session from its carrier, with a limit per turn of the event loop. Beyond the limit the carrier is
 * paused, so that other sessions get their turn however fast one peer sends.
 */
import type { Duplex } from 'node:stream';

/** A frame costs about a microsecond, so a turn stays below a millisecond. */
export const framesPerTurnMax = 256;
/** Four reads of a socket: enough for the full speed of one link. */
export const bytesPerTurnMax = 256 * 1024;

/**
 * Parses frames from `bytes`, at most `framesMax`; returns how many bytes and frames it used. Must make
 * progress.
 */
export type TakeFrames = (
  bytes: Buffer,
  framesMax: number,
) => { readonly bytes: number; readonly frames: number };

export class Intake {
  readonly #carrier: Duplex;
  readonly #take: TakeFrames;
  #waiting: Buffer[] = [];
  #framesLeft = framesPerTurnMax;
  #bytesLeft = bytesPerTurnMax;
  #turnEnds: NodeJS.Immediate | null = null;
  #isStopped = false;

  constructor(carrier: Duplex, take: TakeFrames) {
    this.#carrier = carrier;
    this.#take = take;
  }

  /** Accepts data from the carrier. Parsed at once within the turn's budget, else in later turns. */
  push(chunk: Buffer): void {
    if (this.#isStopped) return;
    this.#waiting.push(chunk);
    // A socket may deliver several chunks within one turn; they share its budget.
    this.#turnEnds ??= setImmediate(() => this.#nextTurn());
    this.#work();
  }

  /** Stops all parsing. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
    if (this.#turnEnds !== null) clearImmediate(this.#turnEnds);
    this.#turnEnds = null;
  }

  #nextTurn(): void {
    this.#turnEnds = null;
    this.#framesLeft = framesPerTurnMax;
    this.#bytesLeft = bytesPerTurnMax;
    if (this.#waiting.length === 0) return;
    this.#turnEnds = setImmediate(() => this.#nextTurn());
    this.#work();
    if (this.#waiting.length === 0 && !this.#isStopped) this.#carrier.resume();
  }

  #work(): void {
    for (let chunk = this.#waiting[0]; chunk !== undefined; chunk = this.#waiting[0]) {
      if (this.#framesLeft === 0 || this.#bytesLeft === 0) {
        this.#carrier.pause();
        return;
      }
      const taken = this.#take(chunk.subarray(0, this.#bytesLeft), this.#framesLeft);
      // Parsing may have ended the session.
      if (this.#isStopped) return;
      this.#framesLeft -= taken.frames;
      this.#bytesLeft -= taken.bytes;
      if (taken.bytes < chunk.length) this.#waiting[0] = chunk.subarray(taken.bytes);
      else this.#waiting.shift();
    }
  }
}

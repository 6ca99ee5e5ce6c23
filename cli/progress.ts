/**
 * One line on a terminal about what is going on, with the seconds it has taken, erased when it ends or when something
 * else is written. Where stderr is no terminal nothing is written at all.
 */
import type { Writable } from 'node:stream';
import { printable } from './output.ts';

/** What is known of a stream that may be a terminal. */
export interface MaybeTerminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

const tickMs = 250;
/** What is over sooner is not announced. */
const quietMs = 400;
export const columnsDefault = 80;

export class Progress {
  readonly #stream: Writable & MaybeTerminal;
  readonly isShown: boolean;
  #isDrawn = false;

  /** `term` is the terminal's kind; a dumb one cannot erase. */
  constructor(stream: Writable, term: string | undefined) {
    this.#stream = stream;
    this.isShown = isTerminal(stream) && term !== 'dumb';
  }

  /** Shows `text()` and the time until `work` is settled. Only one of these goes on at a time. */
  async during<T>(text: () => string, work: () => Promise<T>): Promise<T> {
    if (!this.isShown) return await work();
    const begun = performance.now();
    const draw = () => {
      const elapsedMs = performance.now() - begun;
      if (elapsedMs >= quietMs) this.#draw(`${text()} ${Math.floor(elapsedMs / 1000)} s`);
    };
    const timer = setInterval(draw, tickMs);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      this.erase();
    }
  }

  /** To be called before anything else is written to the terminal. */
  erase(): void {
    if (!this.#isDrawn) return;
    this.#isDrawn = false;
    this.#stream.write('\r\u001b[K');
  }

  #draw(text: string): void {
    // A terminal that does not know its width says 0.
    const room = (this.#stream.columns || columnsDefault) - 1;
    const characters = [...printable(text).replaceAll('\n', ' ')];
    this.#isDrawn = true;
    this.#stream.write(`\r\u001b[K${characters.slice(0, room).join('')}`);
  }
}

export function isTerminal(stream: object): boolean {
  return (stream as MaybeTerminal).isTTY === true;
}

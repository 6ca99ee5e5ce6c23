/**
 * Our own terminal while a command in a machine has it: no key is ours any more, not even Ctrl-C. However this process ends,
 * except by SIGKILL, the terminal is as before. Used by `session.ts`.
 */
import { spawnSync } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { columnsDefault, isTerminal, type MaybeTerminal } from '../progress.ts';

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

const rowsDefault = 24;
/** The API takes no larger terminal. */
const cellsMax = 10_000;

interface RawReadable extends Readable {
  setRawMode(isRaw: boolean): { readonly fd?: number };
}

export class RawTerminal implements Disposable {
  readonly #stdin: RawReadable;
  readonly #restore = () => this.#stdin.setRawMode(false);
  /** A shell that had stopped us (SIGSTOP) has set the terminal to its own mode meanwhile. */
  readonly #continue = () => {
    // Node sets a mode only when it differs from the last that it set.
    this.#stdin.setRawMode(false);
    this.#take();
    this.#onContinue();
  };
  readonly #onContinue: () => void;

  /** Takes the terminal of `stdin`. `onContinue` is called when this process goes on after a stop. */
  constructor(stdin: Readable, onContinue: () => void = () => undefined) {
    this.#stdin = stdin as RawReadable;
    this.#onContinue = onContinue;
    process.on('exit', this.#restore);
    process.on('SIGCONT', this.#continue);
    this.#take();
  }

  /**
   * Node leaves the translation of line feeds on, with which a program that draws on its screen draws in the wrong place:
   * coreutils' `stty` switches it off. The mode that Node restores has it again.
   */
  #take(): void {
    const { fd } = this.#stdin.setRawMode(true);
    if (fd !== undefined) spawnSync('stty', ['-opost'], { stdio: [fd, 'ignore', 'ignore'] });
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#restore);
    process.off('SIGCONT', this.#continue);
    this.#restore();
  }
}

/** The size of the terminal that shows the output; a terminal that does not know its own has 24 lines of 80. */
export function sizeOf(stdout: Writable): TerminalSize {
  const { rows = 0, columns = 0 } = stdout as MaybeTerminal & { readonly rows?: number };
  const cells = (count: number, otherwise: number) => Math.min(count || otherwise, cellsMax);
  return { rows: cells(rows, rowsDefault), columns: cells(columns, columnsDefault) };
}

/** Calls back with each new size until it is disposed of. */
export function onResize(stdout: Writable, resized: (size: TerminalSize) => void): Disposable {
  const listener = () => resized(sizeOf(stdout));
  if (isTerminal(stdout)) stdout.on('resize', listener);
  return { [Symbol.dispose]: () => void stdout.off('resize', listener) };
}

/**
 * Signals and broken output as one AbortSignal. The first SIGINT, SIGTERM or SIGHUP, or a reader of our output that
 * went away, aborts it, and the command cleans up; a second signal ends the process at once.
 */
import type { Writable } from 'node:stream';
import { CliError, Interruption } from './errors.ts';
import { printable } from './output.ts';

const watched = ['INT', 'TERM', 'HUP'] as const;
type Watched = (typeof watched)[number];
/** Takes a signal for something else than the end of our command; false: it does not want this one. */
type Taker = (name: Watched) => boolean;

interface Process {
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly onSignal: (signal: NodeJS.Signals, listener: () => void) => void;
  readonly exit: (code: number) => void;
}

export class Interrupts {
  readonly #controller = new AbortController();
  readonly #stderr: Writable;
  readonly #exit: Process['exit'];
  #signals = 0;
  #lastWords: string | null = null;
  #taker: Taker | null = null;

  constructor({ stdout, stderr, onSignal, exit }: Process) {
    this.#stderr = stderr;
    this.#exit = exit;
    for (const name of watched) onSignal(`SIG${name}`, () => this.#onSignal(name));
    stdout.on('error', (error) => this.#onOutputError('stdout', error));
    stderr.on('error', (error) => this.#onOutputError('stderr', error));
  }

  /** Aborts with an Interruption, or with a CliError when output could not be written. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What to say when a second signal cuts the clean-up short; null when nothing would be left behind. */
  setLastWords(words: string | null): void {
    this.#lastWords = words;
  }

  /** Asks `taker` about each signal first, until it is disposed of. */
  firstTo(taker: Taker): Disposable {
    this.#taker = taker;
    return {
      [Symbol.dispose]: () => {
        this.#taker = null;
      },
    };
  }

  #onSignal(name: Watched): void {
    if (this.#taker?.(name)) return;
    this.#signals++;
    const interruption = new Interruption(name);
    this.#controller.abort(interruption);
    if (this.#signals === 1) return;
    if (this.#lastWords !== null) this.#stderr.write(`${printable(this.#lastWords)}\n`);
    this.#exit(interruption.exitCode);
  }

  #onOutputError(stream: string, error: NodeJS.ErrnoException): void {
    const closed = error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED';
    const reason = closed
      ? new Interruption('PIPE')
      : new CliError(`cannot write to ${stream}: ${error.code ?? error.message}`);
    this.#controller.abort(reason);
  }
}

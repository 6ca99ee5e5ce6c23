/**
 * Signals and broken output as one AbortSignal. The first SIGINT, SIGTERM or SIGHUP, or a reader of our output that
 * went away, aborts it, and the command cleans up; a second signal ends the process at once.
 */
import type { Writable } from 'node:stream';
import { CliError, Interruption } from './errors.ts';
import { printable } from './output.ts';

const watched = ['INT', 'TERM', 'HUP'] as const;

export class Interrupts {
  readonly #controller = new AbortController();
  readonly #stderr: Writable;
  #signals = 0;
  #lastWords: string | null = null;

  constructor(stdout: Writable, stderr: Writable) {
    this.#stderr = stderr;
    for (const name of watched) process.on(`SIG${name}`, () => this.#onSignal(name));
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

  #onSignal(name: (typeof watched)[number]): void {
    this.#signals++;
    const interruption = new Interruption(name);
    this.#controller.abort(interruption);
    if (this.#signals === 1) return;
    if (this.#lastWords !== null) this.#stderr.write(`${printable(this.#lastWords)}\n`);
    process.exit(interruption.exitCode);
  }

  #onOutputError(stream: string, error: NodeJS.ErrnoException): void {
    const closed = error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED';
    const reason = closed
      ? new Interruption('PIPE')
      : new CliError(`cannot write to ${stream}: ${error.code ?? error.message}`);
    this.#controller.abort(reason);
  }
}

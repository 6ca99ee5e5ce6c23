/** Errors that end a command early, and their messages. */
import { exitCodeOfSignal } from './exit-codes.ts';

/** A failure of the command line itself, with a message for the user and, if possible, a hint what to do. */
export class CliError extends Error {
  readonly hint: string | undefined;
  /** Undefined: the command's usual code for failures. */
  readonly exitCode: number | undefined;

  constructor(message: string, options: { readonly hint?: string; readonly exitCode?: number } = {}) {
    super(message);
    this.name = 'CliError';
    this.hint = options.hint;
    this.exitCode = options.exitCode;
  }
}

/** The user or the reader of our output wants us to stop. Nothing is printed for it. */
export class Interruption extends Error {
  readonly exitCode: number;
  readonly bySignal: boolean;

  constructor(signal: 'INT' | 'TERM' | 'HUP' | 'PIPE') {
    super(`interrupted by SIG${signal}`);
    this.name = 'Interruption';
    this.exitCode = exitCodeOfSignal(signal);
    this.bySignal = signal !== 'PIPE';
  }
}

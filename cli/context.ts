/** What a command works with: the client, its streams, and the signal that tells it to stop. */
import type { Readable, Writable } from 'node:stream';
import { FlotillaClient, FlotillaError } from '../sdk/src/index.ts';
import { type CliConfig, type Environment, readConfig } from './config.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { Interrupts } from './interrupts.ts';
import { printable, write } from './output.ts';
import { describeError } from './report.ts';

export interface Streams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

export class Context {
  readonly streams: Streams;
  readonly interrupts: Interrupts;
  readonly config: CliConfig;
  readonly client: FlotillaClient;
  #exitCode = 0;

  /** Throws CliError when the environment names no usable address or key. */
  constructor(env: Environment, streams: Streams) {
    this.streams = streams;
    this.config = readConfig(env);
    this.client = makeClient(this.config);
    this.interrupts = new Interrupts(streams.stdout, streams.stderr);
  }

  get signal(): AbortSignal {
    return this.interrupts.signal;
  }

  get exitCode(): number {
    return this.#exitCode;
  }

  /** Sets the process's exit code; the last call counts. */
  exitWith(code: number): void {
    this.#exitCode = code;
  }

  print(text: string): Promise<void> {
    return write(this.streams.stdout, text, this.signal);
  }

  /** One line for people on stderr; never waits. */
  note(text: string): void {
    this.streams.stderr.write(`${printable(text)}\n`);
  }

  /** Prints what went wrong and what to do about it; `about` names what it happened to. */
  report(error: unknown, about?: string): void {
    this.streams.stderr.write(describeError(error, this.config, about));
  }
}

function makeClient({ url, key, urlFrom }: CliConfig): FlotillaClient {
  try {
    return new FlotillaClient({ url, key });
  } catch (error) {
    if (!(error instanceof FlotillaError)) throw error;
    throw new CliError(error.message, { hint: `it came from ${urlFrom}`, exitCode: exitCodes.usage });
  }
}

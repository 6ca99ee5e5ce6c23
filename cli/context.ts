/** What a command works with: the client, its streams, and the signal that tells it to stop. */
import type { Readable, Writable } from 'node:stream';
import { type FetchLike, FlotillaClient, FlotillaError } from '../sdk/src/index.ts';
import type { Invocation } from './catalog.ts';
import { type CliConfig, readConfig } from './config.ts';
import type { Environment } from './environment.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { Interrupts } from './interrupts.ts';
import { type Label, said, write } from './output.ts';
import { patientFetch, socketFetch } from './patient-fetch.ts';
import { currentProfile, type ProfilePlace } from './profile.ts';
import { columnsDefault, isTerminal, type MaybeTerminal, Progress } from './progress.ts';
import { describeError } from './report.ts';
import { isAsGiven } from './utf8.ts';

export interface Streams {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** What the process gives to the command line: `main.ts` passes its own, tests pass one per command. */
export interface Host extends Streams {
  readonly env: Environment;
  readonly onSignal: (signal: NodeJS.Signals, listener: () => void) => void;
  /** Ends the process at once, without what the command would still do. */
  readonly exit: (code: number) => void;
}

export class Context {
  readonly streams: Streams;
  readonly interrupts: Interrupts;
  readonly progress: Progress;
  readonly invocation: Invocation;
  readonly env: Environment;
  #config: CliConfig | null = null;
  #exitCode = 0;

  constructor(host: Host, invocation: Invocation) {
    const { env, stdin, stdout, stderr } = host;
    this.env = env;
    this.streams = { stdin, stdout, stderr };
    this.invocation = invocation;
    this.interrupts = new Interrupts(host);
    this.progress = new Progress(stderr, env.TERM);
  }

  /** The profile that is used. Throws CliError when what is set cannot be the name of one. */
  get profile(): ProfilePlace {
    return currentProfile(this.env);
  }

  /** Throws CliError when what is set names no usable key, or the profile cannot be trusted. */
  get config(): CliConfig {
    this.#config ??= readConfig(this.env);
    return this.#config;
  }

  /** The configuration, if a command has got that far. */
  get knownConfig(): CliConfig | null {
    return this.#config;
  }

  /** Throws CliError when there is no usable address or key. */
  get client(): FlotillaClient {
    return makeClient(this.config);
  }

  /** A client whose answers may be silent for any time. Throws as `client` does. */
  get patientClient(): FlotillaClient {
    return makeClient(this.config, patientFetch);
  }

  /** The value of a variable of our environment. Throws CliError when it is not set. */
  variable(name: string): string {
    const value = this.env[name];
    if (value !== undefined && !isAsGiven(value, 'environ'))
      throw new CliError(`the value of the variable ${name} is not UTF-8`, { exitCode: exitCodes.usage });
    if (value !== undefined) return value;
    throw new CliError(`the variable ${name} is not set here`, {
      hint: `give it a value (-e ${name}=VALUE), or export it first`,
      exitCode: exitCodes.usage,
    });
  }

  /** How many characters a line of stdout has; infinite where it is no terminal. */
  get room(): number {
    const { stdout } = this.streams;
    if (!isTerminal(stdout)) return Infinity;
    // A terminal that does not know its width says 0.
    return (stdout as MaybeTerminal).columns || columnsDefault;
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
    this.progress.erase();
    return write(this.streams.stdout, text, this.signal);
  }

  /** One line for people on stderr; never waits. */
  note(text: string, label?: Label): void {
    this.progress.erase();
    this.streams.stderr.write(said(text, label));
  }

  /** Prints what went wrong and what to do about it; `about` names what it happened to. */
  report(error: unknown, about?: string): void {
    this.progress.erase();
    const circumstances = { ...this.invocation, config: this.#config, about };
    this.streams.stderr.write(describeError(error, circumstances));
  }
}

function makeClient({ url, key, urlFrom, socketPath }: CliConfig, fetch?: FetchLike): FlotillaClient {
  try {
    return new FlotillaClient({ url, key, fetch: socketPath === null ? fetch : socketFetch(socketPath) });
  } catch (error) {
    if (!(error instanceof FlotillaError)) throw error;
    throw new CliError(error.message, { hint: `it came from ${urlFrom}`, exitCode: exitCodes.usage });
  }
}

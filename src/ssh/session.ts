/**
 * One session of a client: a shell, a command or a subsystem in the guest, with or without a terminal. Made by the
 * connection. Passes on output, input, signals, sizes and the outcome; when the client leaves, the command gets SIGHUP.
 */
import type { ServerChannel, Session } from 'ssh2';
import type { CommandsOf, OutputEvent, RunningCommand, StartCommand } from '../core/commands/command.ts';
import type { CommandService } from '../core/commands/service.ts';
import { AppError, isAppError } from '../core/errors.ts';
import type { AwakeMachine } from '../core/machines/waking.ts';
import type { ExecOutcome } from '../core/ports/guest.ts';
import type { TerminalSize } from '../core/ports/guest-commands.ts';
import type { Logger } from '../lib/log.ts';
import { sftpArgv } from './sftp.ts';
import { commandArgv, shellArgv } from './shell.ts';
import type { WireChannel } from './wire-channel.ts';

/** What OpenSSH's client exits with when the connection fails. */
const failedCode = 255;
/** Of calls after the client has left. */
const farewellMs = 30_000;
const variablesMax = 64;
const variableBytesMax = 4096;
const variablePattern = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
const terminalPattern = /^[A-Za-z0-9._+-]{1,64}$/;
const cellsMax = 0xffff;

/** A running machine, which does not rest until `release` is called. */
export interface Entered extends AwakeMachine {
  readonly tenant: string;
}

type Program = Pick<StartCommand, 'argv'>;
type Prepare = (of: CommandsOf, signal: AbortSignal) => Program | Promise<Program>;

export interface SessionDeps {
  readonly commands: CommandService;
  /** Finds the machine, and wakes it if it sleeps. */
  readonly enter: (signal: AbortSignal) => Promise<Entered>;
  /** Puts what serves SFTP into the guest, and returns its path there. */
  readonly sftp: (of: CommandsOf, signal: AbortSignal) => Promise<string>;
  readonly wrap: (channel: ServerChannel) => WireChannel;
  /** Null: root. */
  readonly user: string | null;
  /** Whether a user that the guest does not have means root. */
  readonly isUserOptional: boolean;
  /** As sshd sets them. */
  readonly env: Readonly<Record<string, string>>;
  readonly log: Logger;
}

export class SshSession {
  readonly #deps: SessionDeps;
  readonly #env: Record<string, string>;
  #terminal: TerminalSize | null = null;
  /** Once it runs. */
  #running: { readonly of: CommandsOf; readonly id: string } | null = null;
  /** Calls for signals and sizes, one after the other. */
  #calls: Promise<unknown> = Promise.resolve();
  #callsWaiting = 0;

  constructor(session: Session, deps: SessionDeps) {
    this.#deps = deps;
    this.#env = { ...deps.env };
    session.on(
      'env',
      (accept, reject, { key, val }) => void (this.#setVariable(key, val) ? accept?.() : reject?.()),
    );
    session.on('pty', (accept, _reject, info) => {
      this.#terminal = sizeOf(info);
      const { term } = info as unknown as { readonly term: string };
      if (terminalPattern.test(term)) this.#env.TERM = term;
      accept?.();
    });
    session.on('window-change', (accept, _reject, info) => {
      this.#resize(sizeOf(info));
      accept?.();
    });
    session.on('signal', (accept, _reject, { name }) => {
      this.#signal(name);
      accept?.();
    });
    session.on('shell', (accept) => this.#serve(accept(), () => ({ argv: shellArgv })));
    session.on('exec', (accept, _reject, { command }) =>
      this.#serve(accept(), () => ({ argv: commandArgv(command) })),
    );
    // Without a listener for `sftp`, ssh2 gives the bare channel.
    session.on('subsystem', (accept, reject, { name }) => {
      if (name !== 'sftp') return void reject?.();
      this.#serve(accept(), async (of, signal) => ({ argv: sftpArgv(await deps.sftp(of, signal)) }));
    });
  }

  #setVariable(name: string, value: string): boolean {
    const isFull = Object.keys(this.#env).length >= variablesMax;
    const isGood =
      variablePattern.test(name) && !value.includes('\0') && Buffer.byteLength(value) <= variableBytesMax;
    if (isFull || !isGood) return false;
    this.#env[name] = value;
    return true;
  }

  #serve(
    // Undefined when the client has closed the session meanwhile.
    channel: ServerChannel | undefined,
    prepare: Prepare,
  ): void {
    if (channel === undefined) return;
    const wire = this.#deps.wrap(channel);
    this.#enter(wire, prepare).catch((error: unknown) => this.#fail(wire, error));
  }

  async #enter(wire: WireChannel, prepare: Prepare): Promise<void> {
    const { machine, tenant, release } = await this.#deps.enter(wire.signal);
    try {
      await this.#run(wire, { tenant, machine: machine.id }, prepare);
    } finally {
      release();
    }
  }

  async #run(wire: WireChannel, of: CommandsOf, prepare: Prepare): Promise<void> {
    const { user } = this.#deps;
    const request: StartCommand = {
      ...(await prepare(of, wire.signal)),
      env: this.#env,
      isStdinOpen: true,
      ...(user === null ? {} : { user }),
      ...(this.#terminal === null ? {} : { terminal: this.#terminal }),
    };
    const running = await this.#start(of, request, wire.signal);
    if (running.id !== null) this.#running = { of, id: running.id };
    const feeding = new AbortController();
    const fed = this.#feed(wire, of, running, AbortSignal.any([wire.signal, feeding.signal]));
    try {
      await this.#follow(wire, running.events);
    } finally {
      feeding.abort(new AppError('unavailable', 'the command has ended'));
      this.#running = null;
      await fed;
      if (running.id !== null) await this.#leave(of, running.id, wire.signal.aborted);
    }
  }

  async #start(of: CommandsOf, request: StartCommand, signal: AbortSignal): Promise<RunningCommand> {
    const { commands, isUserOptional } = this.#deps;
    try {
      return await commands.run(of, request, signal);
    } catch (error) {
      if (!isUserOptional || !isAppError(error, 'invalid')) throw error;
      const { user: _, ...asRoot } = request;
      return await commands.run(of, asRoot, signal);
    }
  }

  async #follow(wire: WireChannel, events: AsyncIterable<OutputEvent>): Promise<void> {
    for await (const event of events) {
      if (event.type === 'outcome') return this.#end(wire, event.outcome);
      if (event.type !== 'caught_up') await wire.write(event.type, event.data);
    }
  }

  async #end(wire: WireChannel, outcome: ExecOutcome): Promise<void> {
    if (outcome.outcome === 'exited') return wire.exit(outcome.exitCode);
    if (outcome.outcome === 'signalled') return wire.exitBySignal(outcome.signal);
    const reason = outcome.outcome === 'unknown' ? outcome.reason : 'it ran too long';
    await wire.write('stderr', Buffer.from(`flotilla: the command’s outcome is unknown: ${reason}\r\n`));
    wire.exit(failedCode);
  }

  /** Passes on input until the client ends it or the command takes no more. */
  async #feed(wire: WireChannel, of: CommandsOf, { id }: RunningCommand, signal: AbortSignal): Promise<void> {
    if (id === null) return wire.drain();
    try {
      for (;;) {
        const piece = await wire.read(signal);
        const data = [piece ?? new Uint8Array()];
        await this.#deps.commands.feed(of, id, iterate(data), piece === null, signal);
        if (piece === null) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      // It has ended, or it has closed its input: what else comes is dropped, as a pipe would.
      if (!isAppError(error, 'conflict') && !isAppError(error, 'not_found'))
        this.#deps.log.info({ command: id, reason: String(error) }, 'standard input was cut');
      wire.drain();
    }
  }

  #resize(size: TerminalSize): void {
    this.#terminal = this.#terminal === null ? null : size;
    this.#call((of, id, signal) => this.#deps.commands.resize(of, id, size, signal));
  }

  #signal(name: string): void {
    this.#call((of, id, signal) => this.#deps.commands.signal(of, id, name.replace(/^SIG/, ''), signal));
  }

  #call(act: (of: CommandsOf, id: string, signal: AbortSignal) => Promise<void>): void {
    const { log } = this.#deps;
    if (this.#running === null || this.#callsWaiting >= variablesMax) return;
    const { of, id } = this.#running;
    this.#callsWaiting += 1;
    this.#calls = this.#calls
      .then(() => act(of, id, AbortSignal.timeout(farewellMs)))
      .catch((error: unknown) =>
        log.debug({ command: id, reason: String(error) }, 'SSH request not passed on'),
      )
      .finally(() => {
        this.#callsWaiting -= 1;
      });
  }

  /** An ended command is forgotten; one whose client has left gets what a lost terminal gives. */
  async #leave(of: CommandsOf, id: string, isLost: boolean): Promise<void> {
    const signal = AbortSignal.timeout(farewellMs);
    try {
      if (isLost) await this.#deps.commands.signal(of, id, 'HUP', signal);
      else await this.#deps.commands.delete(of, id, signal);
    } catch (error) {
      this.#deps.log.debug({ command: id, reason: String(error) }, 'SSH command not left');
    }
  }

  async #fail(wire: WireChannel, error: unknown): Promise<void> {
    if (wire.signal.aborted) return;
    this.#deps.log.info({ reason: String(error) }, 'SSH session failed');
    try {
      await wire.write('stderr', Buffer.from(wordsOf(error)));
      wire.exit(failedCode);
    } catch {
      wire.close();
    }
  }
}

/** What a person at the other end reads. */
export function wordsOf(error: unknown): string {
  if (!isAppError(error) || error.code === 'internal') return 'flotilla: internal error\r\n';
  const hint = error.hint === undefined ? '' : `${error.hint}\r\n`;
  return `flotilla: ${error.message}\r\n${hint}`;
}

function sizeOf({ rows, cols }: { readonly rows: number; readonly cols: number }): TerminalSize {
  const within = (count: number, otherwise: number) => (count >= 1 && count <= cellsMax ? count : otherwise);
  return { rows: within(rows, 24), columns: within(cols, 80) };
}

async function* iterate(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) if (piece.length > 0) yield piece;
}

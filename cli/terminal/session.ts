/**
 * A command's terminal in a machine on our own terminal: every key is the command's, but those that leave it running. The
 * connection may be lost meanwhile; it is made again. Used by `exec -t`, `run -t` and `attach`.
 */
import { on } from 'node:events';
import { type ExecOutcome, FlotillaError } from '../../sdk/src/index.ts';
import { again, isOfConnection } from '../again.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { feed } from '../exec-input.ts';
import { write } from '../output.ts';
import { DetachKeys, detachKeys, detachKeysDefault } from './detach-keys.ts';
import { onResize, RawTerminal, sizeOf, type TerminalSize } from './raw-terminal.ts';
import { ScreenModes } from './screen-modes.ts';

export interface Session {
  readonly machine: string;
  /** The machine as the user named it. */
  readonly name: string;
  readonly exec: string;
  /** The first byte of output. */
  readonly from: number;
  /** Whether our keys are the command's. */
  readonly hasStdin: boolean;
  /** Whether the command learns that its terminal is gone when we are ended by a signal: else it runs on. */
  readonly isOurs: boolean;
  readonly keys: Uint8Array | undefined;
  /** Modes of the terminal that the command has set before. */
  readonly modes?: ScreenModes;
  /** Whether a program that fills its screen is asked to draw it. */
  readonly isRedrawn?: boolean;
}

/** How it ended; null: it was left, and runs on. */
export type SessionEnd = ExecOutcome | null;

/** How long a signal to the command may take when we end. */
const farewellMs = 5_000;

/**
 * Resolves when the command has ended or was left. Rejects when it cannot be reached for long, and with the reason of
 * `context.signal`, when a command of ours is told that its terminal is gone (SIGHUP). The terminal is as before in any case.
 */
export async function terminalSession(context: Context, session: Session): Promise<SessionEnd> {
  const { machine, exec } = session;
  const left = new AbortController();
  const signal = AbortSignal.any([context.signal, left.signal]);
  const modes = session.modes ?? new ScreenModes();
  let end: SessionEnd = null;
  try {
    using stack = new DisposableStack();
    stack.defer(() => left.abort(over));
    const size = new Size(context, session, signal);
    if (session.hasStdin) stack.use(new RawTerminal(context.streams.stdin, () => size.redraw()));
    stack.use(onResize(context.streams.stdout, (changed) => size.change(changed)));
    if (session.hasStdin) void feedKeys(context, session, left, signal);
    if (session.isRedrawn) size.redraw();
    else size.change(sizeOf(context.streams.stdout));
    end = await showOutput(context, session, modes, size, signal);
  } catch (error) {
    if (context.signal.aborted) {
      if (session.isOurs) await hangUp(context, machine, exec);
      throw context.signal.reason;
    }
    if (left.signal.reason !== leaving) throw lost(failureOf(error, left.signal), session);
  } finally {
    context.streams.stdout.write(modes.undo() + (end === null ? '\n' : ''));
  }
  return end;
}

const leaving = new Error('the keys that leave the command were typed');
const over = new Error('the session is over');

/** What ended the session: a failure of the input is the reason of its signal. */
function failureOf(error: unknown, { reason }: AbortSignal): unknown {
  return reason === undefined || reason === over ? error : reason;
}

async function feedKeys(
  context: Context,
  { machine, exec, keys = detachKeys(detachKeysDefault) }: Session,
  left: AbortController,
  signal: AbortSignal,
): Promise<void> {
  try {
    const typed = typedIn(context, new DetachKeys(keys), () => left.abort(leaving), signal);
    await feed(context, typed, { machine, exec, isEnded: false, isLossy: true, signal });
  } catch (error) {
    if (!signal.aborted) left.abort(error);
  }
}

async function* typedIn(
  { streams }: Context,
  keys: DetachKeys,
  leave: () => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { stdin } = streams;
  // Not `for await` of the stream: it would destroy it, and a terminal that is closed has no mode to restore.
  const pieces = on(stdin, 'data', { signal, close: ['end', 'close'], highWaterMark: 16, lowWaterMark: 4 });
  try {
    for await (const [piece] of pieces) {
      const { data, isDetach } = keys.typed(piece);
      if (data.length > 0) yield data;
      if (isDetach) return leave();
    }
  } finally {
    stdin.pause();
  }
}

async function showOutput(
  context: Context,
  { machine, exec, from }: Session,
  modes: ScreenModes,
  size: Size,
  signal: AbortSignal,
): Promise<ExecOutcome> {
  const { stdout, stderr } = context.streams;
  let cursor = from;
  let isLost = false;
  const onLost = () => {
    isLost = true;
    stderr.write('\r\n[the daemon cannot be reached; trying again]\r\n');
  };
  return again({ signal, onLost }, async (works) => {
    if (isLost) {
      // An output that is silent does not tell that the daemon is there again.
      await context.client.execs.get(machine, exec, { signal });
      isLost = false;
      works();
      size.redraw();
    }
    const reading = { from: cursor, follow: true, reconnectMs: 0, signal };
    for await (const event of context.patientClient.execs.output(machine, exec, reading)) {
      works();
      if (event.type === 'outcome') return event;
      if (event.type === 'caught_up') continue;
      modes.saw(event.data);
      await write(stdout, event.data, signal);
      cursor = event.cursor;
    }
    throw new CliError('the command’s output ended without an outcome');
  });
}

/** The size of the command's terminal, which follows that of ours. */
class Size {
  readonly #context: Context;
  readonly #session: Session;
  readonly #signal: AbortSignal;
  #wanted: readonly TerminalSize[] = [];
  #isSending = false;

  constructor(context: Context, session: Session, signal: AbortSignal) {
    this.#context = context;
    this.#session = session;
    this.#signal = signal;
  }

  change(size: TerminalSize): void {
    this.#want([size]);
  }

  /** Another size for a moment: a program that fills its screen draws it again. */
  redraw(): void {
    const size = sizeOf(this.#context.streams.stdout);
    this.#want([{ ...size, rows: size.rows + 1 }, size]);
  }

  /** Of sizes that come faster than they are sent, the last counts. */
  #want(sizes: readonly TerminalSize[]): void {
    this.#wanted = sizes;
    if (!this.#isSending) void this.#send();
  }

  async #send(): Promise<void> {
    const { machine, exec } = this.#session;
    this.#isSending = true;
    try {
      for (let [size, ...rest] = this.#wanted; size !== undefined; [size, ...rest] = this.#wanted) {
        this.#wanted = rest;
        await this.#context.client.execs.resize(machine, exec, size, { signal: this.#signal });
      }
    } catch (error) {
      // The command has ended, or the daemon is away: its return asks for the size again.
      const isExpected = this.#signal.aborted || error instanceof FlotillaError;
      if (!isExpected) throw error;
    } finally {
      this.#isSending = false;
    }
  }
}

/** Tells the command what a program learns whose terminal is closed; as good as it can be done now. */
async function hangUp({ client }: Context, machine: string, exec: string): Promise<void> {
  await client.execs.signal(machine, exec, 'HUP', { timeoutMs: farewellMs }).catch(() => undefined);
}

function lost(error: unknown, { name, exec }: Session): unknown {
  if (!isOfConnection(error) && !(error instanceof FlotillaError)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new CliError(`the terminal of command ${exec} is lost: ${reason}`, {
    hint: `flotilla attach ${name} ${exec} attaches again`,
  });
}

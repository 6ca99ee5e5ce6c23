/** Commands with a terminal, from our own: begun by `exec -t` and `run -t`, or begun before and attached to. */
import type { Exec, StartExec } from '../../sdk/src/index.ts';
import { againNote, isEndedBySignal } from '../attachment.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { settle } from '../exec-outcome.ts';
import { startExec } from '../exec-start.ts';
import { exitCodes } from '../exit-codes.ts';
import { isTerminal } from '../progress.ts';
import { sizeOf } from './raw-terminal.ts';
import { ScreenModes } from './screen-modes.ts';
import { type Session, type SessionEnd, terminalSession } from './session.ts';

export interface TerminalOptions {
  /** The machine as the user named it. */
  readonly name: string;
  /** Whether our keys are the command's. */
  readonly hasStdin: boolean;
  readonly keys: Uint8Array | undefined;
  /** Called when the command was left and runs on. */
  readonly onLeft?: () => void;
}

/** As docker says it. */
const termDefault = 'xterm';
/** What a program asks its terminal, whose answer would be taken for typed keys when it asks again: `CSI 6n`, `CSI c`. */
const questions = new RegExp(`${'\u001b'}\\[[>=?]?\\d*[cn]`, 'g');
/** Enough for the line that a prompt is on. */
const lineBytesMax = 4096;

/** Throws CliError when keys are wanted and there is no terminal. */
export function requireTerminal({ streams }: Context, hasStdin: boolean): void {
  if (!hasStdin || isTerminal(streams.stdin)) return;
  throw new CliError('the input device is not a TTY', {
    hint: 'without -t, -i forwards standard input from a file or a pipe',
    exitCode: exitCodes.usage,
  });
}

/** The part of a request that gives the command a terminal like ours. */
export function terminalRequest({ env, streams }: Context, given: StartExec['env']): Partial<StartExec> {
  return { tty: sizeOf(streams.stdout), env: { TERM: env.TERM ?? termDefault, ...given } };
}

/** Starts the command and gives the exit code that stands for its outcome; 0 when it is left. */
export async function runInTerminal(
  context: Context,
  machine: string,
  request: StartExec,
  options: TerminalOptions,
): Promise<number> {
  const { id } = await startExec(context, machine, request);
  const session = { ...options, machine, exec: id, from: 0, isOurs: true };
  return settled(context, session, options, request.timeout);
}

/** The same for a command that runs; its output begins now unless `from` says otherwise. */
export async function attachTerminal(
  context: Context,
  exec: Exec,
  from: number | undefined,
  options: TerminalOptions,
): Promise<number> {
  const machine = exec.machine_id;
  const before =
    exec.state === 'running' && from === undefined ? await whatIsShown(context, machine, exec) : null;
  if (before !== null) context.streams.stdout.write(before.text);
  const session = {
    ...options,
    ...(before === null ? {} : { modes: before.modes, isRedrawn: true }),
    ...{ machine, exec: exec.id, isOurs: false, from: before?.cursor ?? from ?? exec.first_cursor },
  };
  return settled(context, session, options);
}

async function settled(
  context: Context,
  session: Session,
  { onLeft }: TerminalOptions,
  timeout?: number,
): Promise<number> {
  let end: SessionEnd;
  try {
    end = await terminalSession(context, session);
  } catch (error) {
    if (!session.isOurs && isEndedBySignal(context)) context.note(againNote(session.name, session.exec));
    throw error;
  }
  if (end !== null) return settle(context, end, timeout);
  onLeft?.();
  context.note(againNote(session.name, session.exec));
  return exitCodes.ok;
}

/** The state of the terminal as the command has left it, and the line that it is on. */
async function whatIsShown(context: Context, machine: string, exec: Exec) {
  const { client, signal } = context;
  const modes = new ScreenModes();
  let cursor = exec.first_cursor;
  let line = Buffer.alloc(0);
  for await (const event of client.execs.output(machine, exec.id, { from: cursor, signal })) {
    cursor = event.cursor;
    if (!('data' in event)) break;
    modes.saw(event.data);
    line = Buffer.concat([line, event.data]);
    line = line.subarray(Math.max(line.lastIndexOf('\n') + 1, line.length - lineBytesMax));
  }
  const shown = modes.isAlternate ? '' : line.toString('latin1').replaceAll(questions, '');
  return { modes, cursor, text: Buffer.concat([Buffer.from(modes.redo()), Buffer.from(shown, 'latin1')]) };
}

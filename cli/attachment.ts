/** Being attached to a command that runs without a terminal: output, input and signals, until it ends or is left. */
import type { Exec, ExecOutcome } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { Interruption } from './errors.ts';
import { feed, piecesOf } from './exec-input.ts';
import { settle } from './exec-outcome.ts';
import { printOutput } from './exec-output.ts';

export interface StreamsOptions {
  /** The machine as the user named it. */
  readonly name: string;
  readonly from: number | undefined;
  /** Whether our standard input is the command's. */
  readonly hasStdin: boolean;
  /** Whether the first Ctrl-C is the command's. */
  readonly isProxied: boolean;
}

/** Resolves with the exit code that stands for the command's outcome. An interruption leaves the command running. */
export async function attachStreams(
  context: Context,
  exec: Exec,
  { name, from, hasStdin, isProxied }: StreamsOptions,
): Promise<number> {
  const machine = exec.machine_id;
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, context.signal]);
  using _proxy = isProxied ? passOnInterrupt(context, machine, exec.id) : null;
  const feeding =
    hasStdin && exec.state === 'running'
      ? feedOurs(context, machine, exec.id, signal, (error) => context.report(error, 'standard input'))
      : null;
  try {
    const outcome = await printOutput(context, machine, exec, {
      from,
      isFollowed: true,
      isRaw: true,
      signal,
    });
    return settle(context, outcome ?? noOutcome);
  } catch (error) {
    if (isEndedBySignal(context)) context.note(againNote(name, exec.id));
    throw error;
  } finally {
    over.abort(new Error('the command has ended'));
    await feeding;
  }
}

/** Feeds the command with our standard input until the signal; `onFailure` is called when that fails. */
export async function feedOurs(
  context: Context,
  machine: string,
  exec: string,
  signal: AbortSignal,
  onFailure: (error: unknown) => void,
): Promise<void> {
  try {
    const options = { machine, exec, isEnded: true, isLossy: false, signal };
    await feed(context, piecesOf(context.streams.stdin, signal), options);
  } catch (error) {
    if (!signal.aborted) onFailure(error);
  }
}

export function isEndedBySignal({ signal }: Context): boolean {
  return signal.reason instanceof Interruption && signal.reason.bySignal;
}

/** How to come back to a command that was left. */
export function againNote(machine: string, exec: string): string {
  return `command ${exec} runs on; attach again with: flotilla attach ${machine} ${exec}`;
}

const noOutcome: ExecOutcome = { outcome: 'unknown', reason: 'the output ended before the command' };

function passOnInterrupt(context: Context, machine: string, exec: string): Disposable {
  let isPassedOn = false;
  return context.interrupts.firstTo((name) => {
    if (name !== 'INT' || isPassedOn) return false;
    isPassedOn = true;
    context.note('the command got Ctrl-C; once more leaves it running');
    context.client.execs.signal(machine, exec, name).catch((error: unknown) => context.report(error));
    return true;
  });
}

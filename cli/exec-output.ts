/** Output of a command that is read from a cursor, on its way to our stdout and stderr. */
import { type Exec, type ExecOutcome, FlotillaError } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { terminalText, write } from './output.ts';
import { isTerminal } from './progress.ts';

export interface ExecOutputOptions {
  /** The first byte, counted over both streams; undefined: the first that is kept. */
  readonly from: number | undefined;
  /** Go on until the command ends. */
  readonly isFollowed: boolean;
  /** Whether bytes that a terminal obeys reach ours. */
  readonly isRaw: boolean;
  readonly signal: AbortSignal;
}

/** How often output may leave the guest's buffer while we ask for its beginning. */
const chasesMax = 20;

/**
 * Resolves with the outcome; null: the command runs on. A lost connection is made again. Throws CliError for output that is no
 * longer kept; where `from` does not say where to begin, it begins after that, with a note.
 */
export async function printOutput(
  context: Context,
  machine: string,
  { id, first_cursor: firstCursor }: Pick<Exec, 'id' | 'first_cursor'>,
  options: ExecOutputOptions,
): Promise<ExecOutcome | null> {
  const { isFollowed: follow, signal } = options;
  const sinks = sinksOf(context, options.isRaw);
  let cursor = options.from ?? firstCursor;
  let isBegun = options.from !== undefined;
  for (let chases = 0; ; chases++) {
    try {
      for await (const event of context.patientClient.execs.output(machine, id, {
        from: cursor,
        follow,
        signal,
      })) {
        if (!isBegun && cursor > 0) context.note(`the first ${cursor} bytes of output are no longer kept`);
        isBegun = true;
        if (event.type === 'outcome') return event;
        if (event.type === 'caught_up') return null;
        await write(context.streams[event.type], sinks[event.type](event.data), signal);
        cursor = event.cursor;
      }
      return null;
    } catch (error) {
      const first = firstKept(error);
      if (first === null) throw error;
      if (isBegun || chases === chasesMax) throw lost(id, cursor, first);
      cursor = first;
    }
  }
}

/** The first byte that is kept, of the error that another one is not; null for other errors. */
function firstKept(error: unknown): number | null {
  if (!(error instanceof FlotillaError) || error.status !== 410) return null;
  const { first_cursor: first } = (error.details ?? {}) as { readonly first_cursor?: unknown };
  return typeof first === 'number' ? first : null;
}

function lost(id: string, from: number, first: number): CliError {
  return new CliError(`the output of command ${id} from byte ${from} on is no longer kept`, {
    hint: `--from ${first} begins at the first byte that is`,
  });
}

function sinksOf({ streams }: Context, isRaw: boolean) {
  const sink = (stream: 'stdout' | 'stderr') => {
    if (isRaw || !isTerminal(streams[stream])) return (data: Uint8Array): Uint8Array | string => data;
    const decoder = new TextDecoder();
    const clean = terminalText();
    return (data: Uint8Array) => clean(decoder.decode(data, { stream: true }));
  };
  return { stdout: sink('stdout'), stderr: sink('stderr') };
}

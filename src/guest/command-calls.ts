/** Calls about the agent's commands, except those that carry output; part 3 of `protocol.ts`. */
import { z } from 'zod';
import { AppError, isAppError } from '../core/errors.ts';
import type { ExecOutcome } from '../core/ports/guest.ts';
import type { CommandInfo, CommandRequest, TerminalSize } from '../core/ports/guest-commands.ts';
import { abortError, type CallOptions, openCall, simpleCall } from './calls.ts';
import { CommandFrameReader, outcomeOf } from './exec-frames.ts';
import { encodeStart } from './exec-request.ts';
import { encodeFrame } from './frames.ts';
import { cleanWords, encodeLine } from './lines.ts';
import { framePayloadBytesMax, frameTypes } from './protocol.ts';
import type { YamuxSession } from './yamux/session.ts';

const ownedCommandsMax = 64;
const signalName = /^[A-Z][A-Z0-9+-]{0,15}$/;

export function checkSignalName(name: string): void {
  if (!signalName.test(name))
    throw new AppError('invalid', `not the name of a signal: ${JSON.stringify(name)}`);
}

export async function callStart(
  session: YamuxSession,
  request: CommandRequest,
  options: CallOptions,
): Promise<{ readonly pid: number }> {
  const { stream, results } = await openCall(session, 'start', encodeStart(request, true), options).catch(
    (error: unknown) => {
      throw isAppError(error, 'guest') || isAppError(error, 'timeout') ? maybeStarted(error) : error;
    },
  );
  stream.close(performance.now());
  const parsed = z.object({ pid: z.int().min(0) }).safeParse(results);
  if (!parsed.success) throw new AppError('guest', "the guest's answer to start is malformed");
  return parsed.data;
}

function maybeStarted(error: AppError): AppError {
  return new AppError(error.code, error.message, { cause: error, isMaybeDone: true });
}

export async function callSignal(
  session: YamuxSession,
  id: string,
  name: string,
  options: CallOptions,
): Promise<void> {
  checkSignalName(name);
  await simpleCall(session, 'signal', { command: id, signal: name }, options);
}

export async function callResize(
  session: YamuxSession,
  id: string,
  { rows, columns }: TerminalSize,
  options: CallOptions,
): Promise<void> {
  await simpleCall(session, 'resize', { command: id, rows, columns }, options);
}

export async function callForget(session: YamuxSession, id: string, options: CallOptions): Promise<void> {
  await simpleCall(session, 'forget', { command: id }, options);
}

/** What a date can hold, in milliseconds. */
const momentMax = 8_640_000_000_000_000;
const moment = z.int().min(-momentMax).max(momentMax);

const listSchema = z.object({
  commands: z
    .array(
      z.object({
        // Ids are ours.
        command: z.string().regex(/^[\w-]{1,64}$/),
        program: z.string().max(256),
        words: z.array(z.string().max(256)).max(256).optional(),
        argc: z.int().min(1).optional(),
        pid: z.int().min(0),
        terminal: z.boolean().optional(),
        started_ms: moment,
        ended_ms: moment.nullable().optional(),
        first_offset: z.int().min(0),
        next_offset: z.int().min(0),
        stdout_bytes: z.int().min(0).optional(),
        stderr_bytes: z.int().min(0).optional(),
        outcome: z.record(z.string(), z.unknown()).nullable(),
      }),
    )
    .max(ownedCommandsMax),
});

export async function callList(session: YamuxSession, options: CallOptions): Promise<readonly CommandInfo[]> {
  const parsed = listSchema.safeParse(await simpleCall(session, 'list', {}, options));
  if (!parsed.success) throw new AppError('guest', "the guest's answer to list is malformed");
  return parsed.data.commands.map((command) => ({
    id: command.command,
    program: cleanWords(command.program),
    words: (command.words ?? []).map(cleanWords),
    argc: command.argc ?? null,
    pid: command.pid,
    hasTerminal: command.terminal ?? null,
    startedAtMs: command.started_ms,
    endedAtMs: command.ended_ms ?? null,
    firstOffset: command.first_offset,
    nextOffset: command.next_offset,
    stdoutBytes: command.stdout_bytes ?? null,
    stderrBytes: command.stderr_bytes ?? null,
    outcome: command.outcome === null ? null : listedOutcome(command.outcome),
  }));
}

/** The agent reports `unknown` for a command whose handling failed. */
function listedOutcome(words: Readonly<Record<string, unknown>>): ExecOutcome {
  if (words.outcome === 'unknown') return { outcome: 'unknown', reason: 'the guest agent failed' };
  return outcomeOf(words);
}

/** Raises `guest` when the link is lost first. */
export async function callWait(
  session: YamuxSession,
  id: string,
  options: CallOptions,
): Promise<ExecOutcome> {
  const { signal } = options;
  const line = encodeLine({ call: 'wait', command: id });
  const { stream, rest } = await openCall(session, 'wait', line, options);
  const onAbort = () => stream.reset(abortError(signal, 'waiting for a command'));
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    const event = await new CommandFrameReader(stream, rest).next();
    if (event.type === 'outcome') return event.outcome;
    throw new AppError('guest', "the guest's answer to wait is malformed");
  } finally {
    signal.removeEventListener('abort', onAbort);
    stream.close(performance.now());
  }
}

/** Resolves when the agent has accepted the bytes: it ends its side when it has read ours completely. */
export async function callFeed(
  session: YamuxSession,
  id: string,
  data: Uint8Array,
  isEnd: boolean,
  options: CallOptions,
): Promise<void> {
  // What fits into one frame goes with the request: a key at a terminal would otherwise wait for an answer first.
  const frames = framesOf(data, isEnd);
  const first = frames.next().value;
  const line = encodeLine({ call: 'stdin', command: id });
  const request = first === undefined ? line : Buffer.concat([line, first]);
  const { stream } = await openCall(session, 'stdin', request, options);
  const onAbort = () => stream.reset(new AppError('timeout', 'standard input was cancelled'));
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (const frame of frames) await stream.write(frame);
    stream.end();
    while ((await stream.read()) !== null);
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    stream.close(performance.now());
  }
}

function* framesOf(data: Uint8Array, isEnd: boolean): Generator<Buffer> {
  for (let offset = 0; offset < data.length; offset += framePayloadBytesMax)
    yield encodeFrame(frameTypes.stdin, data.subarray(offset, offset + framePayloadBytesMax));
  if (isEnd) yield encodeFrame(frameTypes.stdin, Buffer.alloc(0));
}

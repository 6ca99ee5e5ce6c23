/** Calls about the agent's commands, except those that carry output; part 3 of `protocol.ts`. */
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { ExecOutcome } from '../core/ports/guest.ts';
import type { CommandInfo, CommandRequest, TerminalSize } from '../core/ports/guest-commands.ts';
import { type CallOptions, openCall, simpleCall } from './calls.ts';
import { encodeExecFrame, outcomeOf } from './exec-frames.ts';
import { encodeStart } from './exec-request.ts';
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
  const { stream, results } = await openCall(session, 'start', encodeStart(request, true), options);
  stream.close(performance.now());
  const parsed = z.object({ pid: z.int().min(0) }).safeParse(results);
  if (!parsed.success) throw new AppError('guest', "the guest's answer to start is malformed");
  return parsed.data;
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

const listSchema = z.object({
  commands: z
    .array(
      z.object({
        command: z.string().max(64),
        program: z.string().max(256),
        pid: z.int().min(0),
        started_ms: z.int(),
        first_offset: z.int().min(0),
        next_offset: z.int().min(0),
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
    pid: command.pid,
    startedAtMs: command.started_ms,
    firstOffset: command.first_offset,
    nextOffset: command.next_offset,
    outcome: command.outcome === null ? null : listedOutcome(command.outcome),
  }));
}

/** The agent reports `unknown` for a command whose handling failed. */
function listedOutcome(words: Readonly<Record<string, unknown>>): ExecOutcome {
  if (words.outcome === 'unknown') return { outcome: 'unknown', reason: 'the guest agent failed' };
  return outcomeOf(words);
}

/** Resolves when the agent has accepted the bytes: it ends its side when it has read ours completely. */
export async function callFeed(
  session: YamuxSession,
  id: string,
  data: Uint8Array,
  isEnd: boolean,
  options: CallOptions,
): Promise<void> {
  const line = encodeLine({ call: 'stdin', command: id });
  const { stream } = await openCall(session, 'stdin', line, options);
  const onAbort = () => stream.reset(new AppError('timeout', 'standard input was cancelled'));
  options.signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (let offset = 0; offset < data.length; offset += framePayloadBytesMax) {
      const payload = data.subarray(offset, offset + framePayloadBytesMax);
      await stream.write(encodeExecFrame(frameTypes.stdin, payload));
    }
    if (isEnd) await stream.write(encodeExecFrame(frameTypes.stdin, Buffer.alloc(0)));
    stream.end();
    while ((await stream.read()) !== null);
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    stream.close(performance.now());
  }
}

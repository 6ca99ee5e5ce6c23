/**
 * The messages of the subprotocol `flotilla.exec.v1`, which docs/terminal.md specifies: text frames are JSON, and the
 * first byte of a binary frame says which stream its bytes belong to. Reads and writes frames; knows no connection.
 */
import { z } from '@hono/zod-openapi';
import type { OutputEvent, StartCommand } from '../../../../../core/commands/command.ts';
import type { TerminalSize } from '../../../../../core/ports/guest-commands.ts';
import { checkText } from '../../../../body-text.ts';
import { BadRequest } from '../../../../errors.ts';
import { describeIssue } from '../../../../issues.ts';
import { closed, integerMax } from '../../../../schema.ts';
import { anySignal, cells, programFields, timeoutSecondsDefault, timeoutSecondsMax } from '../schema.ts';
import { outcomeFields, programOf, timeoutMsOf } from '../translate.ts';

export const execProtocol = 'flotilla.exec.v1';

/** The first byte of a binary frame. */
export const channels = { stdin: 0, stdout: 1, stderr: 2 } as const;

const count = z.int().min(0).max(integerMax);
const size = { cols: cells, rows: cells };

const messages = {
  start: closed({
    type: z.literal('start'),
    ...programFields,
    tty: closed(size).optional(),
    stdin: z.boolean().default(true),
  }),
  attach: closed({ type: z.literal('attach'), id: z.string().min(1).max(64), from: count.default(0) }),
  resize: closed({ type: z.literal('resize'), ...size }),
  signal: closed({ type: z.literal('signal'), signal: anySignal }),
  stdin_end: closed({ type: z.literal('stdin_end') }),
  ack: closed({ type: z.literal('ack'), bytes: count }),
};
type Messages = typeof messages;
export type ClientMessage = { [Type in keyof Messages]: z.infer<Messages[Type]> }[keyof Messages];
export type StartMessage = z.infer<Messages['start']>;

const hint = 'docs/terminal.md describes the messages.';

/** Raises BadRequest. */
export function parseMessage(frame: Buffer): ClientMessage {
  const value = parseJson(frame);
  const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
  if (typeof type !== 'string' || !Object.hasOwn(messages, type)) {
    const known = Object.keys(messages).join(', ');
    throw new BadRequest(`the type of a message must be one of: ${known}`, hint);
  }
  const parsed = messages[type as keyof Messages].safeParse(value);
  if (!parsed.success) throw new BadRequest(`${type}: ${describeIssue(parsed.error, value)}`, hint);
  return parsed.data;
}

function parseJson(frame: Buffer): unknown {
  checkText(frame);
  try {
    return JSON.parse(frame.toString());
  } catch {
    throw new BadRequest('a text frame must be a JSON object', hint);
  }
}

/** The bytes of a frame of standard input. Raises BadRequest for another channel. */
export function inputOf(frame: Buffer): Buffer {
  if (frame[0] === channels.stdin) return frame.subarray(1);
  throw new BadRequest('the first byte of a binary frame must be 0, for standard input', hint);
}

/** A frame of output. */
export function outputFrame(stream: 'stdout' | 'stderr', data: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(data.length + 1);
  frame[0] = channels[stream];
  frame.set(data, 1);
  return frame;
}

/** A shell at a terminal may be used for a day; anything else has the time of a streamed exec. */
export function toStart({ timeout, tty, stdin, ...program }: StartMessage): StartCommand {
  return {
    ...programOf(program),
    timeoutMs: timeoutMsOf(timeout ?? (tty === undefined ? timeoutSecondsDefault : timeoutSecondsMax)),
    ...(stdin ? { isStdinOpen: true } : {}),
    ...(tty === undefined ? {} : { terminal: toSize(tty) }),
  };
}

export function toSize({ cols, rows }: { readonly cols: number; readonly rows: number }): TerminalSize {
  return { columns: cols, rows };
}

export interface Started {
  readonly id: string;
  readonly machineId: string;
  readonly pid: number;
  /** Where the output that follows begins. */
  readonly cursor: number;
  /** How many bytes of standard input the command has taken; null: the guest agent is too old to tell. */
  readonly stdin: number | null;
}

export function startedMessage({ machineId, ...started }: Started): string {
  return JSON.stringify({ type: 'started', machine_id: machineId, ...started });
}

export function ackMessage(bytes: number): string {
  return JSON.stringify({ type: 'ack', bytes });
}

export function exitMessage({ outcome, cursor }: Extract<OutputEvent, { type: 'outcome' }>): string {
  return JSON.stringify({ type: 'exit', ...outcomeFields(outcome), cursor });
}

/** `body`: an error as the dialect shows it. */
export function errorMessage(body: object): string {
  return JSON.stringify({ type: 'error', ...body });
}

/** A sign of life. */
export const heartbeatMessage = JSON.stringify({ type: 'heartbeat' });

/** The command takes no more input; what is sent is dropped. */
export const stdinClosedMessage = JSON.stringify({ type: 'stdin_closed' });

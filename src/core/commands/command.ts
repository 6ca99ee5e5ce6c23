/** Commands of machines as core and dialects see them, and the error for output that is no longer kept. */
import { AppError } from '../errors.ts';
import type { ExecOutcome } from '../ports/guest.ts';
import type { CommandInfo, TerminalSize } from '../ports/guest-commands.ts';

/** Whose machine it is, and its id or name. */
export interface CommandsOf {
  readonly tenant: string;
  readonly machine: string;
}

/** A command of a machine's current boot. */
export interface Command extends CommandInfo {
  readonly machineId: string;
}

export interface StartCommand {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  /** Absent: no limit. */
  readonly timeoutMs?: number;
  /** Passed to the command at once. */
  readonly stdin?: Uint8Array;
  /** Whether standard input stays open after that, for `feed`. */
  readonly isStdinOpen?: boolean;
  readonly terminal?: TerminalSize;
}

/** A command that has started. */
export interface StartedCommand {
  readonly id: string;
  readonly machineId: string;
  readonly pid: number;
}

/** A command with its output from the beginning; `id` is null when no guest agent owns it. */
export interface RunningCommand {
  readonly id: string | null;
  readonly machineId: string;
  readonly pid: number | null;
  /** Iterate it, or return early. */
  readonly events: AsyncIterable<OutputEvent>;
}

/** A cursor counts the bytes of both streams since the command's start. */
export type OutputEvent =
  | {
      readonly type: 'stdout' | 'stderr';
      readonly data: Uint8Array;
      /** Position of the first byte in its own stream; null if the guest agent does not tell. */
      readonly offset: number | null;
      /** Where the output continues after this event. */
      readonly cursor: number;
    }
  /** The end of what there was, of a command that still runs. */
  | { readonly type: 'caught_up'; readonly cursor: number }
  | { readonly type: 'outcome'; readonly outcome: ExecOutcome; readonly cursor: number };

export interface OutputRequest {
  /** The cursor to start at. */
  readonly from: number;
  /** Whether to go on until the command ends. */
  readonly isFollowed: boolean;
  /** Absent: both. */
  readonly stream?: 'stdout' | 'stderr';
}

/** The output before a cursor is no longer kept: bytes would be missing without notice. */
export class CursorExpired extends AppError {
  constructor(from: number, firstOffset: number) {
    super(
      'conflict',
      `the output from byte ${from} on is no longer kept; the first kept byte is ${firstOffset}`,
      {
        details: { from, first_cursor: firstOffset },
        hint: `Continue with from=${firstOffset}; the bytes before it are lost.`,
      },
    );
  }
}

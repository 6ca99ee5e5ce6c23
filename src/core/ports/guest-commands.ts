/**
 * Commands that belong to the guest agent: they outlive the link and the daemon, and can be attached to again. Every call
 * names its incarnation and has a deadline.
 */
import type { ExecOutcome, GuestTarget } from './guest.ts';

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export interface CommandRequest {
  /** Chosen by the caller, unique in the guest: 1 to 64 of `[A-Za-z0-9_-]`. */
  readonly id: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  /** After this the command is killed with all that it started; absent: it has no limit. */
  readonly timeoutMs?: number;
  /** Whether it takes standard input, by `feed`; otherwise it reads /dev/null. */
  readonly hasStdin?: boolean;
  /** Its streams are a terminal of this size. */
  readonly terminal?: TerminalSize;
  /** How much of its output is kept, 131,200 to 8,388,608 bytes; absent: 1 MiB. */
  readonly bufferBytes?: number;
}

export type CommandEvent =
  /** `offset` is where the data begins, in bytes of both outputs since the command began. */
  | { readonly type: 'stdout' | 'stderr'; readonly data: Uint8Array; readonly offset: number }
  /** So many bytes before the next event are no longer kept. */
  | { readonly type: 'lost'; readonly bytes: number }
  | { readonly type: 'outcome'; readonly outcome: ExecOutcome };

/**
 * The output of a command from an offset on, as it comes; the last event is `outcome`. While it is iterated, the command
 * waits for a slow reader. Asking for an event says that the one before was taken: bytes that were not are kept for whoever
 * attaches next. Returning early detaches and changes nothing for the command. Throws `guest` when the link is lost.
 */
export type CommandOutput = AsyncIterable<CommandEvent>;

export interface CommandInfo {
  readonly id: string;
  readonly program: string;
  readonly pid: number;
  readonly startedAtMs: number;
  /** Bytes of output from the first to the next offset are kept. */
  readonly firstOffset: number;
  readonly nextOffset: number;
  /** Null while it runs. */
  readonly outcome: ExecOutcome | null;
}

/**
 * Raises `unsupported` (the agent is older than this), `not_found` (no such command), `conflict` (the id is taken, no
 * input, no terminal), `exhausted` (too many commands, or too much output, is kept), and what `GuestLink` raises.
 */
export interface GuestCommands {
  /** When it rejects with `guest` or `timeout` the command may run; `list` tells, and starting it again is a `conflict`. */
  start(target: GuestTarget, request: CommandRequest, signal: AbortSignal): Promise<{ readonly pid: number }>;
  attach(target: GuestTarget, id: string, offset: number, signal: AbortSignal): Promise<CommandOutput>;
  /** Sends standard input; `isEnd` also ends it. Resolves when the agent has taken it. */
  feed(target: GuestTarget, id: string, data: Uint8Array, isEnd: boolean, signal: AbortSignal): Promise<void>;
  /** Sends a signal by its name without SIG, to the process group; never waits behind standard input. */
  signal(target: GuestTarget, id: string, name: string, signal: AbortSignal): Promise<void>;
  resize(target: GuestTarget, id: string, size: TerminalSize, signal: AbortSignal): Promise<void>;
  /** The commands that are kept, oldest first; ended ones until they are forgotten or their place is needed. */
  list(target: GuestTarget, signal: AbortSignal): Promise<readonly CommandInfo[]>;
  /** Kills a command, with all that it started, if it still runs, and drops its output. */
  forget(target: GuestTarget, id: string, signal: AbortSignal): Promise<void>;
}

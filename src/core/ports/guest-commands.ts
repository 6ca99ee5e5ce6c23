/**
 * Commands owned by the guest agent: they outlive the link and the daemon and can be attached to again. Every
 * call names its incarnation and has a deadline.
 */
import type { ExecOutcome, GuestTarget } from './guest.ts';

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

export interface CommandRequest {
  /** Chosen by the caller, unique in the guest: 1 to 64 characters of `[A-Za-z0-9_-]`. */
  readonly id: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly user?: string;
  /** After this, the command and everything it started are killed. Absent: no limit. */
  readonly timeoutMs?: number;
  /** Whether it accepts standard input through `feed`; otherwise it reads /dev/null. */
  readonly hasStdin?: boolean;
  /** Its streams are a terminal of this size. */
  readonly terminal?: TerminalSize;
  /** How much of its output is kept, 131,200 to 8,388,608 bytes. Absent: 1 MiB. */
  readonly bufferBytes?: number;
  /** Somebody attaches at once: until then, no output is dropped (not by older agents). */
  readonly isHeld?: boolean;
}

export type CommandEvent =
  /** `offset` is the position of the data, in bytes of both outputs since the command's start. */
  | { readonly type: 'stdout' | 'stderr'; readonly data: Uint8Array; readonly offset: number }
  /** This many bytes before the next event are no longer in the buffer. */
  | { readonly type: 'lost'; readonly bytes: number }
  | { readonly type: 'outcome'; readonly outcome: ExecOutcome };

/** What was kept when a reader attached. */
export interface OutputBounds {
  /** The output between the first and the next offset was kept. */
  readonly firstOffset: number;
  readonly nextOffset: number;
  /** How many bytes of each stream came before the first event's. */
  readonly stdoutBefore: number;
  readonly stderrBefore: number;
  /** How many bytes of standard input the command had taken. */
  readonly stdinTaken: number;
}

/**
 * A command's output from an offset on; the last event is `outcome`. During iteration, the command waits for
 * a slow reader (backpressure). Requesting an event acknowledges the one before; unacknowledged bytes are
 * kept for the next reader. Returning early detaches without affecting the command. Throws `guest` when the
 * link is lost.
 */
export interface CommandOutput extends AsyncIterable<CommandEvent> {
  /** Null: the agent is older and does not tell. */
  readonly bounds: OutputBounds | null;
}

export interface CommandInfo {
  readonly id: string;
  readonly program: string;
  /** The first of its arguments, with the program; empty from older agents. */
  readonly words: readonly string[];
  /** How many arguments it has, with the program; null from older agents, like the other fields with null. */
  readonly argc: number | null;
  readonly pid: number;
  readonly hasTerminal: boolean | null;
  /** By the guest's clock. */
  readonly startedAtMs: number;
  /** Null also while it runs. */
  readonly endedAtMs: number | null;
  /** The output between the first and the next offset is available. */
  readonly firstOffset: number;
  readonly nextOffset: number;
  /** Written since the start. */
  readonly stdoutBytes: number | null;
  readonly stderrBytes: number | null;
  /** Null while it runs. */
  readonly outcome: ExecOutcome | null;
}

/**
 * Raises `unsupported` (the agent is older), `not_found` (no such command), `conflict` (the id is taken, no
 * input, no terminal, has ended), `exhausted` (too many commands or too much output kept), and the errors of
 * `GuestLink`.
 */
export interface GuestCommands {
  /**
   * A program that cannot be found or run is `invalid`, with the `exitCode` that a shell would give in the details (not
   * from older agents). If it rejects with an error that may be done, the command may be running; `list` shows that, and starting it
   * again is a `conflict`.
   */
  start(target: GuestTarget, request: CommandRequest, signal: AbortSignal): Promise<{ readonly pid: number }>;
  attach(target: GuestTarget, id: string, offset: number, signal: AbortSignal): Promise<CommandOutput>;
  /** Resolves when the command has ended, without reading its output. */
  wait(target: GuestTarget, id: string, signal: AbortSignal): Promise<ExecOutcome>;
  /** Sends standard input; `isEnd` closes it afterwards. Resolves when the agent has accepted it. */
  feed(target: GuestTarget, id: string, data: Uint8Array, isEnd: boolean, signal: AbortSignal): Promise<void>;
  /** Sends a signal, named without SIG, to the process group; never waits behind standard input. */
  signal(target: GuestTarget, id: string, name: string, signal: AbortSignal): Promise<void>;
  resize(target: GuestTarget, id: string, size: TerminalSize, signal: AbortSignal): Promise<void>;
  /** The kept commands, oldest first; ended ones are kept until forgotten or until their place is needed. */
  list(target: GuestTarget, signal: AbortSignal): Promise<readonly CommandInfo[]>;
  /** Kills a running command and everything it started, and drops its output. */
  forget(target: GuestTarget, id: string, signal: AbortSignal): Promise<void>;
}

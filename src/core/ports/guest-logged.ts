/**
 * The port for commands whose output is a file of the guest, so that they can go on without anybody who reads it. They
 * live as long as their caller, until the caller lets them go.
 */
import type { ExecRequest, GuestTarget } from './guest.ts';

export interface LoggedRequest extends Pick<ExecRequest, 'argv' | 'env' | 'cwd' | 'user'> {
  readonly log: {
    /** Of the file, at most 128 bytes, not there yet. */
    readonly name: string;
    /** The first one that takes the file is used: others may be full, read-only or absent. */
    readonly directories: readonly string[];
  };
  /** How much of the output's beginning is sent, at most 8 MiB. */
  readonly outputBytesMax: number;
  /** It goes on from the beginning; its output is not sent. */
  readonly isDetached?: boolean;
}

/**
 * What has become of the log. `removed`: all of it was sent · `kept`: it has more, or the command goes on · `gone`: it
 * is needed, but the command has removed it.
 */
export type LogStanding = 'removed' | 'kept' | 'gone';

export type LoggedOutcome =
  | { readonly outcome: 'exited'; readonly exitCode: number }
  | { readonly outcome: 'signalled'; readonly signal: string }
  /** It was let go. */
  | { readonly outcome: 'running' };

export type LoggedEvent =
  /** Both outputs, in the order in which they were written. */
  | { readonly type: 'output'; readonly data: Uint8Array }
  | {
      readonly type: 'end';
      readonly end: LoggedOutcome & {
        readonly log: LogStanding;
        /** The log's disk takes nothing, so that output may be missing. */
        readonly isFull: boolean;
      };
    }
  /** Nobody knows how it ended, if it has. */
  | { readonly type: 'lost'; readonly reason: string };

/**
 * Iteration yields output and finally one `end` or `lost`; nothing for a detached command. Returning early, or `abort`,
 * kills the command with all that it started, unless it was let go.
 */
export interface LoggedCommand extends AsyncIterable<LoggedEvent> {
  readonly pid: number;
  readonly logPath: string;
  /** The command goes on by itself; what there is of its output comes, and then the end `running`. */
  letGo(): void;
}

/**
 * Raises `invalid` (no such program, user or directory; no directory takes the log), `unsupported` (the agent is older),
 * and the errors of `GuestLink`.
 */
export interface GuestLogged {
  start(target: GuestTarget, request: LoggedRequest, signal: AbortSignal): Promise<LoggedCommand>;
}

/**
 * What core asks of a guest. Every call names the incarnation it is meant for, so a call can never reach the wrong
 * boot, and has a deadline.
 */
import type { GuestAddress } from './engine.ts';

export interface GuestTarget {
  readonly machineId: string;
  readonly incarnation: string;
  readonly address: GuestAddress;
}

/** What the guest agent says of itself. */
export interface GuestHello {
  readonly agentVersion: string;
  /** The newest version that both ends speak. */
  readonly protocolVersion: number;
  /** What the agent can do beside the calls of that version. */
  readonly features: readonly string[];
  readonly kernelRelease: string;
  /** The incarnation the agent was given; null until `identify` was called. */
  readonly incarnation: string | null;
}

/** Who the guest is to be; given once after boot, before the machine counts as running. */
export interface GuestIdentity {
  readonly hostname: string;
  /** 32 hexadecimal digits. */
  readonly machineId: string;
}

export interface ExecRequest {
  /** Program and arguments; looked up in the guest's PATH; never through a shell. At least one, no NUL bytes. */
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A user of the guest by name or number, or `USER:GROUP`; root when absent. */
  readonly user?: string;
  /** After this the whole process group is killed and the outcome is `timed_out`. */
  readonly timeoutMs: number;
  /** Bytes for the process's standard input; absent: stdin is /dev/null. */
  readonly stdin?: AsyncIterable<Uint8Array>;
}

/**
 * How a command ended. `unknown` when the guest or its link was lost before the guest said: the command may have run,
 * may still run, or may never have started. It is never guessed.
 */
export type ExecOutcome =
  | { readonly outcome: 'exited'; readonly exitCode: number }
  | { readonly outcome: 'signalled'; readonly signal: string }
  | { readonly outcome: 'timed_out' }
  | { readonly outcome: 'unknown'; readonly reason: string };

export type ExecEvent =
  | { readonly type: 'stdout' | 'stderr'; readonly data: Uint8Array }
  | { readonly type: 'outcome'; readonly outcome: ExecOutcome };

/**
 * One command under way. Iterating yields output in order and, last, exactly one `outcome`; a slow reader slows the
 * command down, nothing else. Returning early, or `abort`, kills the command's whole process group.
 */
export interface ExecSession extends AsyncIterable<ExecEvent> {
  /** Sends a signal by name without SIG (`TERM`, `INT`, `KILL`…) to the command's process group. */
  kill(signal: string): void;
}

/** Announcements a guest makes before it acts. */
export type GuestAnnouncement = 'poweroff' | 'reboot' | 'halt';

/**
 * Raises `guest` (link lost, refused), `timeout`, `invalid` (the guest cannot: no such user, no such directory),
 * `exhausted` (more calls to one guest at once than its link carries).
 */
export interface GuestLink {
  /** Waits until the agent of this incarnation answers hello; the link stays open afterwards and redials by itself. */
  waitReady(target: GuestTarget, signal: AbortSignal): Promise<GuestHello>;
  /** Sets host name, machine-id, clock (now) and fresh entropy; repeatable. */
  identify(target: GuestTarget, identity: GuestIdentity, signal: AbortSignal): Promise<void>;
  /**
   * Sets clock and entropy of a guest that stood still; repeatable. Host name and machine-id stay as the guest's users have
   * made them, unless the agent is so old that it takes all together.
   */
  resync(target: GuestTarget, identity: GuestIdentity, signal: AbortSignal): Promise<void>;
  /**
   * Makes a guest that is a copy of another, and still answers as `previous`, the target's incarnation; afterwards it is
   * reached as that one only. Repeatable. `unsupported` when its agent cannot.
   */
  rekey(target: GuestTarget, previous: string, signal: AbortSignal): Promise<void>;
  /**
   * Starts a command; resolves when the guest has started it (`invalid` when it could not: a missing program is not
   * an error here but an outcome `exited` 127 with the reason on stderr). When it rejects with `guest` or `timeout` the
   * command may have been started all the same: do not repeat it blindly.
   */
  exec(target: GuestTarget, request: ExecRequest, signal: AbortSignal): Promise<ExecSession>;
  /**
   * Asks the guest to power off; resolves when it has acknowledged, not when it is off. Its processes have `graceMs` to end
   * by themselves.
   */
  shutdown(target: GuestTarget, graceMs: number, signal: AbortSignal): Promise<void>;
  /** The last announcement this incarnation made, if any. */
  announcement(incarnation: string): GuestAnnouncement | null;
  /**
   * Whether the guest stands still, so that its silence does not end its calls; their own deadlines run on. Concerns the
   * link there is; harmless when there is none.
   */
  setQuiet(incarnation: string, isQuiet: boolean): void;
  /** Drops the link of an incarnation; open calls end as `unknown`. Harmless when there is none. */
  release(incarnation: string): Promise<void>;
  close(): Promise<void>;
}

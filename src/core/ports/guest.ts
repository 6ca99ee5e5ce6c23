/**
 * What core requires of a guest. Every call has a deadline and names its incarnation, so that it can never
 * reach another boot.
 */
import type { GuestAddress } from './engine.ts';
import type { GuestNetwork } from './network.ts';

export interface GuestTarget {
  readonly machineId: string;
  readonly incarnation: string;
  readonly address: GuestAddress;
}

/** The guest agent's self-description. */
export interface GuestHello {
  readonly agentVersion: string;
  /** The newest version that both ends support. */
  readonly protocolVersion: number;
  /** Capabilities of the agent beyond the calls of that version. */
  readonly features: readonly string[];
  readonly kernelRelease: string;
  /** The incarnation that was given to the agent; null before `identify`. */
  readonly incarnation: string | null;
}

/** The guest's identity; sent once after boot, before the machine counts as running. */
export interface GuestIdentity {
  readonly hostname: string;
  /** 32 hexadecimal digits. */
  readonly machineId: string;
}

/** What the copy of another machine's guest becomes. */
export interface GuestAdoption extends GuestIdentity {
  /** Of the interface that the machine has on the host; null: it has no network. */
  readonly mac: string | null;
}

export interface ExecRequest {
  /**
   * Program and arguments; the program is looked up in the guest's PATH, without a shell. At least one,
   * without NUL bytes.
   */
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** User in the guest by name or number, or `USER:GROUP`. Absent: root. */
  readonly user?: string;
  /** After this, the process group is killed and the outcome is `timed_out`. */
  readonly timeoutMs: number;
  /** Standard input. Absent: /dev/null. */
  readonly stdin?: AsyncIterable<Uint8Array>;
}

/**
 * How a command ended. `unknown` when the guest or its link was lost before the guest reported the end: the
 * command may have run, may still run, or may never have started. It is never a guess.
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
 * A running command. Iteration yields output in order and finally exactly one `outcome`; a slow reader slows
 * down only this command. Returning early, or `abort`, kills the command's whole process group.
 */
export interface ExecSession extends AsyncIterable<ExecEvent> {
  /** Sends a signal, named without SIG (`TERM`, `INT`, `KILL`…), to the command's process group. */
  kill(signal: string): void;
}

/** What a guest says of its DHCP client. */
export interface GuestLeaseReport {
  /** Differs from that of every earlier state. */
  readonly change: number;
  /** Null while it has none. */
  readonly lease: GuestLease | null;
  /** Why the lease is not in use; null: nothing is wrong. */
  readonly problem: string | null;
}

export interface GuestLease {
  /** IPv4. */
  readonly address: string;
  /** Length in bits. */
  readonly prefix: number;
  readonly gateway: string | null;
  readonly resolvers: readonly string[];
  /** Milliseconds until it ends, unless it is prolonged. */
  readonly leftMs: number;
}

/** Whether the link to a guest works. */
export interface GuestLinkState {
  readonly isUp: boolean;
  /**
   * Why it was lost the last time, or why it cannot be made; null when neither happened. For people; may name
   * files of the host. Kept when the link is up again.
   */
  readonly reason: string | null;
  /** When it was lost the last time, in milliseconds since 1970; null: never. */
  readonly lostAtMs: number | null;
  /** How often it was lost since this daemon took up the incarnation. */
  readonly lostCount: number;
}

/** Announcements that a guest makes before it acts. */
export type GuestAnnouncement = 'poweroff' | 'reboot' | 'halt';

/**
 * Raises `guest` (link lost, refused), `timeout`, `invalid` (no such user or directory in the guest),
 * `exhausted` (too many concurrent calls to one guest).
 */
export interface GuestLink {
  /** Waits until this incarnation's agent answers hello; the link stays open and reconnects by itself. */
  waitReady(target: GuestTarget, signal: AbortSignal): Promise<GuestHello>;
  /** Sets host name, machine-id, clock (now) and fresh entropy. Idempotent. */
  identify(target: GuestTarget, identity: GuestIdentity, signal: AbortSignal): Promise<void>;
  /**
   * Sets clock and entropy of a guest that was paused. Idempotent. Host name and machine-id stay as set in
   * the guest, unless the agent is so old that it only accepts everything together.
   */
  resync(target: GuestTarget, identity: GuestIdentity, signal: AbortSignal): Promise<void>;
  /**
   * Makes the restored copy of another machine's guest the target's own, while its programs go on: new random numbers, clock,
   * host name, machine-id, SSH host keys and hardware address. What it had of the other machine goes: addresses and routes of
   * its interface, a lease, keys that were placed for that machine. User data that was carried out is not carried out again.
   * Call it after `rekey`, and `configureNetwork` after it: until then its interface is down. Idempotent; takes less than
   * a minute. Resolves with what the guest could not change, in words; may be empty. Raises `unsupported` when the agent is too
   * old: the guest is then still the other machine, and must not run.
   */
  adopt(target: GuestTarget, adoption: GuestAdoption, signal: AbortSignal): Promise<readonly string[]>;
  /**
   * Sets up the guest's interface. Idempotent. Resolves with why the guest has no working network although it
   * was given one: its agent is too old, or its kernel has no driver for the device. Null: it has one.
   */
  configureNetwork(target: GuestTarget, network: GuestNetwork, signal: AbortSignal): Promise<string | null>;
  /**
   * What the guest says of its DHCP client, as soon as that is not the change `known`, or after `waitMs`. Addresses are
   * written as such; whether they are the guest's, only the guest says.
   */
  dhcpLease(
    target: GuestTarget,
    known: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<GuestLeaseReport>;
  /**
   * Gives a copied guest its own identity: it still answers as `previous`; afterwards it answers only as the
   * target's incarnation. Idempotent. Raises `unsupported` when the agent is too old.
   */
  rekey(target: GuestTarget, previous: string, signal: AbortSignal): Promise<void>;
  /**
   * Starts a command; resolves when the guest has started it. Raises `invalid` when it cannot be started,
   * except that a missing program is an outcome `exited` 127 with the reason on stderr. If it rejects with
   * `guest` or `timeout`, the command may have started: do not repeat it blindly.
   */
  exec(target: GuestTarget, request: ExecRequest, signal: AbortSignal): Promise<ExecSession>;
  /**
   * Asks the guest to power off; resolves when the guest has acknowledged, not when it is off. Its processes
   * get `graceMs` to exit by themselves.
   */
  shutdown(target: GuestTarget, graceMs: number, signal: AbortSignal): Promise<void>;
  /** The state of this incarnation's link; null when there is none. */
  linkState(incarnation: string): GuestLinkState | null;
  /** The last announcement of this incarnation, if any. */
  announcement(incarnation: string): GuestAnnouncement | null;
  /**
   * Marks the guest as paused, so that its silence does not end its calls; their own deadlines continue.
   * Affects the current link; does nothing without one.
   */
  setQuiet(incarnation: string, isQuiet: boolean): void;
  /** Closes the link of an incarnation; open calls end as `unknown`. Does nothing without a link. */
  release(incarnation: string): Promise<void>;
  close(): Promise<void>;
}

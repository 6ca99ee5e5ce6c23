/**
 * What core remembers. A record that cannot be read is left out of lists; asking for it by id or name raises
 * DamagedRecordError, and it stays as it is. Two drivers (SQLite, PostgreSQL) pass one contract suite. A transaction either happens wholly or
 * not at all, is durable when its promise resolves, and must contain no effect outside the store.
 */

import type { EventPage, EventPosition } from '../events/event.ts';
import type { ApiKey } from '../keys/key.ts';
import type { Machine, MachineFailure } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import type { Operation, OperationState, Subject } from '../operations/operation.ts';

export interface Store extends Repositories {
  /**
   * Runs `work` in one transaction that may write. What it has got or found by id, name or count stays as it is until the
   * transaction ends: others who would change it wait. What it has listed does not. `work` may be run anew, after what it
   * had done was rolled back: when the disk was full, and when it and another waited for one another. `exhausted` when the
   * disk stays full. CommitUnknownError, of this and of each single write: it was
   * committed or was not, and reading again tells which. After any other error nothing was written.
   */
  transaction<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  /**
   * Calls `listener` soon after events were committed, by this process or, on PostgreSQL, by another; it says nothing of
   * which. Now and then it is called for nothing. Returns what ends it.
   */
  onEvents(listener: () => void): () => void;
  /**
   * Makes this the only daemon of the host while the store is open. `conflict` when there is another. On SQLite the lock
   * on the state directory has seen to it.
   */
  holdHost(hostId: string): Promise<void>;
  close(): Promise<void>;
}

export interface Repositories {
  readonly machines: MachineRepository;
  readonly operations: OperationRepository;
  readonly keys: KeyRepository;
  readonly hosts: HostRepository;
  readonly allocations: AllocationRepository;
  readonly events: EventRepository;
  readonly locks: LockRepository;
}

/**
 * Names that a transaction holds until it ends, for what no row stands for: that a host has enough memory left, that no
 * machine is on an image. Outside a transaction they do nothing.
 */
export interface LockRepository {
  /** Waits until no other transaction has the name. */
  hold(name: string): Promise<void>;
  /** Waits until no other transaction holds the name; several share it at once. */
  share(name: string): Promise<void>;
}

export interface HostClaim {
  readonly hostId: string;
  /** The boot during which machines were started whose record does not say it; null when nobody knows. */
  readonly bootIdBefore: string | null;
  /**
   * Which machines without a host become this host's, with their operations and what they hold by number: those of earlier
   * versions, which knew no hosts. Of a database that several hosts share they may be another's. Absent: none.
   */
  readonly unowned?: 'all' | readonly string[];
  /** An epoch that another database has given; this one goes on after it. Absent: 0. */
  readonly epochBefore?: number;
  readonly at: string;
}

/** What a database records for one host, as far as it tells whether the two belong together. */
export interface HostContents {
  /** Some daemon has claimed a host in it: earlier versions knew no hosts. */
  readonly hasHosts: boolean;
  /** Of the host's latest daemon; null when the database does not know the host. */
  readonly epoch: number | null;
  readonly recorded: readonly RecordedMachine[];
  /** Machines of no host: a daemon of an earlier version made them. */
  readonly unowned: readonly RecordedMachine[];
}

export interface RecordedMachine {
  readonly id: string;
  /** 0 where an earlier version did not count. */
  readonly revision: number;
}

/** The hosts whose machines are recorded here. */
export interface HostRepository {
  /**
   * Makes the caller the one daemon of the host and returns its epoch, which is higher than every epoch before. Adds the
   * host when it is new.
   */
  claim(claim: HostClaim): Promise<number>;
  /** The epoch of the host's latest claim; null for an unknown host. Inside a transaction no claim passes it. */
  epoch(hostId: string): Promise<number | null>;
}

/** What is handed out by number: a value of a kind has at most one owner on a host. */
export type AllocationKind = 'vmm_uid';

export interface AllocationRequest {
  readonly hostId: string;
  readonly kind: AllocationKind;
  readonly owner: Subject;
  /** The range of values, both ends included. */
  readonly min: number;
  readonly max: number;
  readonly at: string;
}

export interface AllocationRepository {
  /**
   * The next free value after the one handed out last, so that a freed value is not used again at once; from the range's
   * end on to its beginning. `exhausted` when all are taken.
   */
  take(request: AllocationRequest): Promise<number>;
  /** Frees all that the owner has on the host. */
  release(hostId: string, owner: Subject): Promise<void>;
}

/**
 * What has changed, written by the other repositories in the transaction that makes the change. Ordered: a reader that
 * goes on from a position misses nothing.
 */
export interface EventRepository {
  /** Up to `limit` events after the position, oldest first, and the position to go on from. */
  after(position: EventPosition, limit: number): Promise<EventPage>;
  /** The position after the newest event. */
  latest(): Promise<EventPosition>;
  /** Removes all but the newest `keep`. */
  prune(keep: number): Promise<void>;
}

export const machineSortKeys = ['created_at', 'updated_at', 'name', 'memory_mib'] as const;

export interface MachineSort {
  readonly by: (typeof machineSortKeys)[number];
  readonly isDescending: boolean;
}

/** A label that a machine has; without a value: whatever its value. */
export interface LabelFilter {
  readonly key: string;
  readonly value?: string;
}

/** Machines that meet all of it. */
export interface MachineFilter {
  readonly tenant?: string;
  readonly states?: readonly MachineState[];
  readonly labels?: readonly LabelFilter[];
  /** The name of an image as given at creation, or a digest. */
  readonly image?: string;
  /** Absent: newest first. */
  readonly sort?: MachineSort;
  readonly limit: number;
  readonly offset: number;
}

/** What a transition changes beside the state; an absent field stays as it is. */
export type MachinePatch = Partial<
  Pick<
    Machine,
    | 'desired'
    | 'operationId'
    | 'incarnation'
    | 'bootId'
    | 'handle'
    | 'failure'
    | 'startedAt'
    | 'imageDigest'
    | 'restartAt'
    | 'restartCount'
  >
>;

/** The fields that may change without a change of state. */
export type MachineDetails = Partial<
  Pick<Machine, 'handle' | 'bootId' | 'desired' | 'spec' | 'expiresAt' | 'restartAt' | 'restartCount'>
> & {
  readonly failure?: MachineFailure | null;
};

export interface MachineRepository {
  /** `conflict` when the tenant has a machine of that name. */
  insert(machine: Machine): Promise<Machine>;
  get(id: string): Promise<Machine | null>;
  /** By id, else by name within the tenant; an id match wins. */
  find(tenant: string, idOrName: string): Promise<Machine | null>;
  /** In the order of `sort`, and how many match in all. */
  list(filter: MachineFilter): Promise<{ readonly machines: readonly Machine[]; readonly total: number }>;
  /** Those of the host whose lifetime has ended, or whose restart is due, at that time; at most `limit`. */
  due(hostId: string, at: string, limit: number): Promise<readonly Machine[]>;
  /** Every machine of a host whose record can be read; for recovery and reconciliation. */
  all(hostId: string): Promise<readonly Machine[]>;
  /** Those of the host whose record cannot be read: what they have must not be taken for unknown. */
  damaged(hostId: string): Promise<readonly DamagedMachine[]>;
  /** The memory of the host's machines in these states, and of failed ones that still have a VMM, in MiB. */
  memoryMib(query: MemoryQuery): Promise<number>;
  /** How many of the host's machines are on the image, those whose record cannot be read included. */
  countOnImage(hostId: string, imageDigest: string): Promise<number>;
  /** Only for `transition.ts`: writes when the row still has `from` and `operationId`; false when it does not. */
  compareAndSet(change: StateChange): Promise<boolean>;
  /**
   * Changes no state; false when the machine is gone or runs another incarnation. `conflict` when the tenant has a
   * machine of the new name.
   */
  patch(id: string, incarnation: string | null, details: MachineDetails, at: string): Promise<boolean>;
  /** Only for `transition.ts`, to `deleted`. */
  remove(id: string, at: string): Promise<void>;
}

export interface DamagedMachine {
  readonly id: string;
  readonly name: string;
  readonly incarnation: string | null;
  readonly imageDigest: string;
  /** Names fields, never their contents. */
  readonly reason: string;
}

export interface MemoryQuery {
  readonly hostId: string;
  readonly states: readonly MachineState[];
  /** The id of a machine that does not count. */
  readonly except: string;
}

export interface StateChange {
  readonly id: string;
  readonly from: MachineState;
  /** The operation the row must belong to; null: none. */
  readonly fromOperationId: string | null;
  readonly to: MachineState;
  readonly patch: MachinePatch;
  readonly at: string;
}

export interface OperationFilter {
  readonly tenant: string;
  readonly subject?: Subject;
  readonly states?: readonly OperationState[];
  readonly limit: number;
  readonly offset: number;
}

export interface OperationPage {
  readonly operations: readonly Operation[];
  /** How many match, on all pages. */
  readonly total: number;
}

export interface OperationRepository {
  /** `conflict` when a subject has an open operation: a unique index, not a lock, says so. */
  insert(operation: Operation): Promise<void>;
  get(id: string): Promise<Operation | null>;
  /** Newest first, and how many match in all. */
  list(filter: OperationFilter): Promise<OperationPage>;
  /** The open operation of a subject; null when it has none. */
  openOn(subject: Subject): Promise<Operation | null>;
  /**
   * Replaces `before` by `after` and returns what is then stored, with the cancel flag as it is there: this sets the flag
   * but never clears it. Null, and nothing written, when the stored operation has ended or differs from `before` in
   * owner, epoch or revision.
   */
  save(before: Operation, after: Operation): Promise<Operation | null>;
  /** Sets the cancel flag on an open operation; false when it is not open. */
  requestCancel(id: string): Promise<boolean>;
  /** The open ones of a host whose record can be read, oldest first. */
  open(hostId: string): Promise<readonly Operation[]>;
  /** The ids of its open ones whose record cannot be read, and why. */
  damaged(hostId: string): Promise<readonly { readonly id: string; readonly reason: string }[]>;
  /** Removes each tenant's ended operations beyond its newest `keep`. */
  prune(keep: number): Promise<void>;
}

export interface KeyFilter {
  /** Absent: everyone's. */
  readonly tenant?: string;
  readonly limit: number;
  readonly offset: number;
}

export interface KeyPage {
  readonly keys: readonly ApiKey[];
  /** How many match, on all pages. */
  readonly total: number;
}

export interface KeyRepository {
  insert(key: ApiKey): Promise<void>;
  get(id: string): Promise<ApiKey | null>;
  /** Those whose secret begins so: hardly ever more than one. */
  withPrefix(prefix: string): Promise<readonly ApiKey[]>;
  /** Newest first, and how many match in all. */
  list(filter: KeyFilter): Promise<KeyPage>;
  /** How many of the tenant's are good at that time: neither revoked nor expired. */
  countLive(tenant: string, at: string): Promise<number>;
  /** Revokes the key and those made with it, and with those, without end; returns the ids of those it revoked. */
  revoke(id: string, at: string): Promise<readonly string[]>;
  /** Never back to an earlier time; nothing when there is none. */
  noteUse(id: string, at: string): Promise<void>;
  /** Removes the tenant's revoked and expired ones beyond the `keep` that ended last. */
  pruneEnded(tenant: string, at: string, keep: number): Promise<void>;
}

/**
 * What core remembers. A record that cannot be read is omitted from lists, which read only what they show; reading
 * it by id or name raises DamagedRecordError, and it stays unchanged. Two drivers (SQLite, PostgreSQL) pass one
 * contract suite. A transaction is atomic and durable when its promise resolves, and must contain no effect outside
 * the store.
 */

import type { EventPage, EventPosition } from '../events/event.ts';
import type { ApiKey } from '../keys/key.ts';
import type { ListedMachine, Machine } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import type { Operation, OperationState, Subject, SubjectFailure } from '../operations/operation.ts';

export interface Store extends Repositories {
  /**
   * Runs `work` in one writing transaction. What it has read by id, name or count stays true until the
   * transaction ends, because other writers wait; what it has listed may change. `work` may be repeated after
   * a rollback: when the disk was full, or after a deadlock. Raises `exhausted` when the disk stays full;
   * CommitUnknownError, like each single write, when it is uncertain whether it was committed: read again to
   * find out. After any other error nothing was written.
   */
  transaction<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  /**
   * Calls `listener` soon after events were committed, by this process or, on PostgreSQL, by another one. It
   * does not say which, and may be called without need. Returns a function that ends the subscription.
   */
  onEvents(listener: () => void): () => void;
  /**
   * Makes this the only daemon of the host while the store is open. Raises `conflict` when there is another.
   * On SQLite, the lock on the state directory already ensures this.
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
 * Named locks that a transaction holds until it ends, for conditions without a row: that a host has enough
 * memory left, that no machine uses an image. They do nothing outside a transaction.
 */
export interface LockRepository {
  /** Waits until no other transaction holds the name. */
  hold(name: string): Promise<void>;
  /** Waits until no other transaction holds the name exclusively; several may share it. */
  share(name: string): Promise<void>;
}

export interface HostClaim {
  readonly hostId: string;
  /** The host boot for machines whose record does not name one; null when unknown. */
  readonly bootIdBefore: string | null;
  /**
   * Which machines without a host become this host's, with their operations and allocations. Earlier versions
   * recorded no hosts. In a shared database they may belong to another host. Absent: none.
   */
  readonly unowned?: 'all' | readonly string[];
  /** The epoch of another database, after which this one continues. Absent: 0. */
  readonly epochBefore?: number;
  readonly at: string;
}

/** The contents of a database that show whether it belongs to a host. */
export interface HostContents {
  /** Whether any daemon has claimed a host in it; earlier versions did not record hosts. */
  readonly hasHosts: boolean;
  /** The epoch of the host's latest daemon; null when the database does not know the host. */
  readonly epoch: number | null;
  readonly recorded: readonly RecordedMachine[];
  /** Machines without a host: made by a daemon of an earlier version. */
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
   * Makes the caller the host's only daemon and returns its epoch, which is higher than every earlier one.
   * Adds the host if it is new.
   */
  claim(claim: HostClaim): Promise<number>;
  /**
   * The epoch of the host's latest claim; null for an unknown host. In a transaction, it blocks new claims.
   */
  epoch(hostId: string): Promise<number | null>;
}

/** Kinds of allocated numbers: a value of a kind has at most one owner on a host. */
export type AllocationKind = 'vmm_uid';

export interface AllocationRequest {
  readonly hostId: string;
  readonly kind: AllocationKind;
  readonly owner: Subject;
  /** The range of values, inclusive. */
  readonly min: number;
  readonly max: number;
  readonly at: string;
}

export interface AllocationRepository {
  /**
   * Allocates the next free value after the latest one, so that a freed value is not reused at once; wraps
   * around at the end of the range. Raises `exhausted` when all are taken.
   */
  take(request: AllocationRequest): Promise<number>;
  /** Frees all values that the owner has on the host. */
  release(hostId: string, owner: Subject): Promise<void>;
}

/**
 * Events: changes recorded by the other repositories in the transaction of the change. Ordered: a reader that
 * continues from a position misses nothing.
 */
export interface EventRepository {
  /** Up to `limit` events after the position, oldest first, and the position to continue from. */
  after(position: EventPosition, limit: number): Promise<EventPage>;
  /** The position after the newest event. */
  latest(): Promise<EventPosition>;
  /** Removes all but the newest `keep` events. */
  prune(keep: number): Promise<void>;
}

export const machineSortKeys = ['created_at', 'updated_at', 'name', 'memory_mib'] as const;

export interface MachineSort {
  readonly by: (typeof machineSortKeys)[number];
  readonly isDescending: boolean;
}

/** A label of a machine; without a value, any value matches. */
export interface LabelFilter {
  readonly key: string;
  readonly value?: string;
}

/** Machines must match all fields. */
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

/** What a transition changes besides the state; absent fields stay unchanged. */
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

/** The fields that may change without a state change. */
export type MachineDetails = Partial<
  Pick<Machine, 'handle' | 'bootId' | 'desired' | 'spec' | 'expiresAt' | 'restartAt' | 'restartCount'>
> & {
  readonly failure?: SubjectFailure | null;
};

export interface MachineRepository {
  /** Raises `conflict` when the tenant has a machine with this name. */
  insert(machine: Machine): Promise<Machine>;
  get(id: string): Promise<Machine | null>;
  /** By id, else by name within the tenant; an id match takes precedence. */
  find(tenant: string, idOrName: string): Promise<Machine | null>;
  /** In the order of `sort`, with the total number of matches. */
  list(
    filter: MachineFilter,
  ): Promise<{ readonly machines: readonly ListedMachine[]; readonly total: number }>;
  /** Machines of the host whose lifetime has ended or whose restart is due at that time; at most `limit`. */
  due(hostId: string, at: string, limit: number): Promise<readonly Machine[]>;
  /** All machines of a host with a readable record; for recovery and reconciliation. */
  all(hostId: string): Promise<readonly Machine[]>;
  /**
   * Machines of the host whose record cannot be read; their VMMs and disks must not be treated as unknown.
   */
  damaged(hostId: string): Promise<readonly DamagedMachine[]>;
  /** The memory in MiB of the host's machines in these states, and of failed ones that still have a VMM. */
  memoryMib(query: MemoryQuery): Promise<number>;
  /** Number of the host's machines on the image, including those with a damaged record. */
  countOnImage(hostId: string, imageDigest: string): Promise<number>;
  /**
   * Only for `transition.ts`: writes if the row still has `from` and `operationId`; otherwise returns false.
   */
  compareAndSet(change: StateChange): Promise<boolean>;
  /**
   * Changes fields without a state change; false when the machine is gone or runs another incarnation. Raises
   * `conflict` when the tenant has a machine with the new name.
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
  /** The id of a machine that is not counted. */
  readonly except: string;
}

export interface StateChange {
  readonly id: string;
  readonly from: MachineState;
  /** The operation that the row must have; null: none. */
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
  /** Number of matches on all pages. */
  readonly total: number;
}

export interface OperationRepository {
  /** Raises `conflict` when a subject has an open operation, which a unique index enforces. */
  insert(operation: Operation): Promise<void>;
  get(id: string): Promise<Operation | null>;
  /** Newest first, with the total number of matches. */
  list(filter: OperationFilter): Promise<OperationPage>;
  /** The open operation of a subject; null when it has none. */
  openOn(subject: Subject): Promise<Operation | null>;
  /**
   * Replaces `before` by `after` and returns the stored operation, whose cancel flag may have been set
   * meanwhile: this call sets the flag but never clears it. Null, and nothing written, when the stored
   * operation has ended or differs from `before` in owner, epoch or revision.
   */
  save(before: Operation, after: Operation): Promise<Operation | null>;
  /** Sets the cancel flag of an open operation; false when it is not open. */
  requestCancel(id: string): Promise<boolean>;
  /** A host's open operations with a readable record, oldest first. */
  open(hostId: string): Promise<readonly Operation[]>;
  /** The ids of its open operations with a damaged record, and why. */
  damaged(hostId: string): Promise<readonly { readonly id: string; readonly reason: string }[]>;
  /** Removes each tenant's ended operations beyond its newest `keep`. */
  prune(keep: number): Promise<void>;
}

export interface KeyFilter {
  /** Absent: all tenants. */
  readonly tenant?: string;
  readonly limit: number;
  readonly offset: number;
}

export interface KeyPage {
  readonly keys: readonly ApiKey[];
  /** Number of matches on all pages. */
  readonly total: number;
}

export interface KeyRepository {
  insert(key: ApiKey): Promise<void>;
  get(id: string): Promise<ApiKey | null>;
  /** Keys whose secret has this prefix; rarely more than one. */
  withPrefix(prefix: string): Promise<readonly ApiKey[]>;
  /** Newest first, with the total number of matches. */
  list(filter: KeyFilter): Promise<KeyPage>;
  /** Number of the tenant's keys that are neither revoked nor expired at that time. */
  countLive(tenant: string, at: string): Promise<number>;
  /** Revokes the key and all keys made with it, recursively; returns the ids of the revoked keys. */
  revoke(id: string, at: string): Promise<readonly string[]>;
  /** Never sets an earlier time; does nothing for a missing key. */
  noteUse(id: string, at: string): Promise<void>;
  /** Removes the tenant's revoked and expired keys beyond the `keep` that ended last. */
  pruneEnded(tenant: string, at: string, keep: number): Promise<void>;
}

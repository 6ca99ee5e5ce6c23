/**
 * What core remembers. A record that cannot be read is omitted from lists, which read only what they show; reading
 * it by id or name raises DamagedRecordError, and it stays unchanged. Two drivers (SQLite, PostgreSQL) pass one
 * contract suite. A transaction is atomic and durable when its promise resolves, and must contain no effect outside
 * the store.
 */

import type { Environment, EnvironmentPatch } from '../environments/environment.ts';
import type { EventPage, EventPosition } from '../events/event.ts';
import type { ApiKey } from '../keys/key.ts';
import type { ListedMachine, Machine } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import type { Operation, OperationState, Subject, SubjectFailure } from '../operations/operation.ts';
import type { Quota, QuotaUsage } from '../quotas/quota.ts';
import type { Route } from '../routes/route.ts';
import type { SshKey } from '../ssh/ssh-key.ts';
import type { Template } from '../templates/template.ts';
import type { SnapshotRepository } from './snapshot-repository.ts';

export type * from './snapshot-repository.ts';

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
  readonly environments: EnvironmentRepository;
  readonly operations: OperationRepository;
  readonly keys: KeyRepository;
  readonly templates: TemplateRepository;
  readonly snapshots: SnapshotRepository;
  readonly routes: RouteRepository;
  readonly quotas: QuotaRepository;
  readonly sshKeys: SshKeyRepository;
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
/**
 * `vmm_uid`: slots. `ipv4`: offsets of addresses in the guests' network. `tcp_port`, `udp_port`: ports of the host.
 * `lan_mac`: the last 16 bits of hardware addresses on bridges of the operator. `lan_ipv4`: fixed addresses there.
 */
export const allocationKinds = ['vmm_uid', 'ipv4', 'tcp_port', 'udp_port', 'lan_mac', 'lan_ipv4'] as const;
export type AllocationKind = (typeof allocationKinds)[number];

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
  /** Frees all values that the owner has on the host; of one kind, or a single value of it, if named. */
  release(hostId: string, owner: Subject, kind?: AllocationKind, value?: number): Promise<void>;
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
  /** The name of an image, a reference as given at creation, or a digest. Several: any of them. */
  readonly images?: readonly string[];
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
    | 'idleAt'
    | 'savedMemory'
    | 'expiresAt'
    | 'remainingMs'
  >
>;

/** The fields that may change without a state change. */
export type MachineDetails = Partial<
  Pick<
    Machine,
    | 'handle'
    | 'bootId'
    | 'desired'
    | 'spec'
    | 'expiresAt'
    | 'remainingMs'
    | 'restartAt'
    | 'restartCount'
    | 'idleAt'
    | 'provisioning'
    | 'savedMemory'
  >
> & {
  readonly failure?: SubjectFailure | null;
};

export interface MachineRepository {
  /** Raises `conflict` when the tenant has a machine with this name. */
  insert(machine: Machine): Promise<Machine>;
  get(id: string): Promise<Machine | null>;
  /** By id, else by name within the tenant; an id match takes precedence. */
  find(tenant: string, idOrName: string): Promise<Machine | null>;
  /**
   * Machines of any tenant that have the key among their own, with this id or name unless it is null; oldest first, at most
   * `limit`.
   */
  withSshKey(fingerprint: string, idOrName: string | null, limit: number): Promise<readonly Machine[]>;
  /** In the order of `sort`, with the total number of matches. */
  list(
    filter: MachineFilter,
  ): Promise<{ readonly machines: readonly ListedMachine[]; readonly total: number }>;
  /** Machines of the host whose lifetime has ended or whose restart is due at that time; at most `limit`. */
  due(hostId: string, at: string, limit: number): Promise<readonly Machine[]>;
  /** Running machines of the host whose idle policy is due at that time; at most `limit`. */
  idle(hostId: string, at: string, limit: number): Promise<readonly Machine[]>;
  /**
   * Sets when the idle policy of a machine with one is due, if it still runs this incarnation. No event, no revision: it
   * only notes that the machine is used.
   */
  noteIdleAt(id: string, incarnation: string, idleAt: string): Promise<void>;
  /** All machines of a host with a readable record; for recovery and reconciliation. */
  all(hostId: string): Promise<readonly Machine[]>;
  /**
   * Machines of the host whose record cannot be read; their VMMs and disks must not be treated as unknown.
   */
  damaged(hostId: string): Promise<readonly DamagedMachine[]>;
  /** Machines of an environment with a readable record, by name. */
  inEnvironment(environment: EnvironmentKey): Promise<readonly Machine[]>;
  /** Number of machines of an environment, including those with a damaged record. */
  countInEnvironment(environment: EnvironmentKey): Promise<number>;
  /** The memory in MiB of the host's machines in these states, and of failed ones that still have a VMM. */
  memoryMib(query: MemoryQuery): Promise<number>;
  /** What a tenant's machines add up to, on all hosts, including those with a damaged record. */
  usage(tenant: string): Promise<QuotaUsage>;
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

/** What names an environment: ids are unique within a tenant. */
export type EnvironmentKey = Pick<Environment, 'tenant' | 'id'>;

export interface EnvironmentFilter {
  readonly tenant: string;
  /** The owner label. */
  readonly owner?: string;
  readonly limit: number;
  readonly offset: number;
}

export interface EnvironmentPage {
  readonly environments: readonly Environment[];
  /** Number of matches on all pages. */
  readonly total: number;
}

export interface EnvironmentRepository {
  /** Raises `conflict` when the tenant has an environment with this id. */
  insert(environment: Environment): Promise<void>;
  get(key: EnvironmentKey): Promise<Environment | null>;
  /** Newest first, with the total number of matches. */
  list(filter: EnvironmentFilter): Promise<EnvironmentPage>;
  /** Number of the host's environments. */
  count(hostId: string): Promise<number>;
  /** Environments of the host whose lifetime has ended at that time; at most `limit`. */
  due(hostId: string, at: string, limit: number): Promise<readonly Environment[]>;
  /** Returns the changed environment; null when it is gone. */
  patch(key: EnvironmentKey, patch: EnvironmentPatch, at: string): Promise<Environment | null>;
  remove(key: EnvironmentKey, at: string): Promise<void>;
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

/** The quotas that were set for tenants. */
export interface QuotaRepository {
  get(tenant: string): Promise<Quota | null>;
  /** By tenant, with the total number. */
  list(page: {
    readonly limit: number;
    readonly offset: number;
  }): Promise<{ readonly quotas: readonly Quota[]; readonly total: number }>;
  /** Adds or replaces the tenant's quota. */
  set(quota: Quota): Promise<void>;
  /** False when the tenant has none. */
  remove(tenant: string): Promise<boolean>;
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

export interface SshKeyFilter {
  readonly tenant: string;
  readonly limit: number;
  readonly offset: number;
}

export interface SshKeyPage {
  readonly keys: readonly SshKey[];
  /** Number of matches on all pages. */
  readonly total: number;
}

export interface SshKeyRepository {
  /** Raises `conflict` when the tenant has the key, or another with this name. */
  insert(key: SshKey): Promise<void>;
  /** By id, name or fingerprint, within the tenant. */
  find(tenant: string, text: string): Promise<SshKey | null>;
  /** The tenants' registrations of one key, oldest first; at most `limit`. */
  withFingerprint(fingerprint: string, limit: number): Promise<readonly SshKey[]>;
  /** Newest first, with the total number of matches. */
  list(filter: SshKeyFilter): Promise<SshKeyPage>;
  /** Number of the tenant's keys. In a transaction, none is added until it ends. */
  count(tenant: string): Promise<number>;
  /** Does nothing for a missing key. */
  remove(id: string, at: string): Promise<void>;
}

export interface TemplateFilter {
  readonly tenant: string;
  readonly limit: number;
  readonly offset: number;
}

export interface TemplatePage {
  readonly templates: readonly Template[];
  /** Number of matches on all pages. */
  readonly total: number;
}

export interface TemplateRepository {
  /** Raises `conflict` when the tenant has a template with this name. */
  insert(template: Template): Promise<void>;
  /** By id or by name, within the tenant. */
  find(tenant: string, idOrName: string): Promise<Template | null>;
  /** Newest first, with the total number of matches. */
  list(filter: TemplateFilter): Promise<TemplatePage>;
  /** Number of the tenant's templates. In a transaction, none is added until it ends. */
  count(tenant: string): Promise<number>;
  /** Does nothing for a missing template. */
  remove(id: string, at: string): Promise<void>;
}

export interface RouteFilter {
  readonly tenant: string;
  readonly machineId?: string;
  readonly limit: number;
  readonly offset: number;
}

export interface RoutePage {
  readonly routes: readonly Route[];
  /** Number of matches on all pages. */
  readonly total: number;
}

export type RoutePatch = Partial<Pick<Route, 'targetPort' | 'autoWake' | 'secret'>>;

/** Routes; a removed machine's are removed with it. */
export interface RouteRepository {
  /** Raises `conflict` when the subdomain is taken, by whatever tenant. */
  insert(route: Route): Promise<void>;
  /** By id or by subdomain, within the tenant. */
  find(tenant: string, idOrSubdomain: string): Promise<Route | null>;
  /** Of any tenant. */
  bySubdomain(subdomain: string): Promise<Route | null>;
  /** Newest first, with the total number of matches. */
  list(filter: RouteFilter): Promise<RoutePage>;
  /** Number of the tenant's routes, or of all. In a transaction with a tenant, none is added until it ends. */
  count(tenant?: string): Promise<number>;
  /** Returns the changed route; null when it is gone. */
  patch(id: string, patch: RoutePatch, at: string): Promise<Route | null>;
  /** Does nothing for a missing route. */
  remove(id: string, at: string): Promise<void>;
}

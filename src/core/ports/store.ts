/**
 * What core remembers. Two drivers (SQLite, PostgreSQL) pass one contract suite. A transaction either happens wholly or
 * not at all, is durable when its promise resolves, and must contain no effect outside the store.
 */
import type { ApiKey } from '../keys/key.ts';
import type { Machine, MachineFailure } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import type { Operation, OperationState } from '../operations/operation.ts';

export interface Store extends Repositories {
  /**
   * Runs `work` in one transaction that may write. What it has got or found by id, name or count stays as it is until the
   * transaction ends: others who would change it wait. What it has listed does not. `work` may be run anew, after what it
   * had done was rolled back: when the disk was full, and when it and another waited for one another. `exhausted` when the
   * disk stays full. CommitUnknownError, of this and of each single write: it was
   * committed or was not, and reading again tells which. After any other error nothing was written.
   */
  transaction<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Repositories {
  readonly machines: MachineRepository;
  readonly operations: OperationRepository;
  readonly keys: KeyRepository;
}

export interface MachineFilter {
  readonly tenant?: string;
  readonly states?: readonly MachineState[];
  readonly limit: number;
  readonly offset: number;
}

/** What a transition changes beside the state; an absent field stays as it is. */
export type MachinePatch = Partial<
  Pick<
    Machine,
    'desired' | 'operationId' | 'incarnation' | 'handle' | 'failure' | 'startedAt' | 'imageDigest'
  >
>;

/** The fields that may change without a change of state. */
export type MachineDetails = Partial<Pick<Machine, 'handle' | 'desired'>> & {
  readonly failure?: MachineFailure | null;
};

export interface MachineRepository {
  /** `conflict` when the tenant has a machine of that name. Takes the lowest free slot. */
  insert(machine: Omit<Machine, 'slot'>): Promise<Machine>;
  get(id: string): Promise<Machine | null>;
  /** By id, else by name within the tenant; an id match wins. */
  find(tenant: string, idOrName: string): Promise<Machine | null>;
  /** Newest first, and how many match in all. */
  list(filter: MachineFilter): Promise<{ readonly machines: readonly Machine[]; readonly total: number }>;
  /** Every machine; for recovery and reconciliation. */
  all(): Promise<readonly Machine[]>;
  /** Only for `transition.ts`: writes when the row still has `from` and `operationId`; false when it does not. */
  compareAndSet(change: StateChange): Promise<boolean>;
  /** Changes no state; false when the machine is gone or runs another incarnation. */
  patch(id: string, incarnation: string | null, details: MachineDetails, at: string): Promise<boolean>;
  /** Only for `transition.ts`, to `deleted`. */
  remove(id: string): Promise<void>;
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
  readonly machineId?: string;
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
  /** `conflict` when the machine has an open operation: a unique index, not a lock, says so. */
  insert(operation: Operation): Promise<void>;
  get(id: string): Promise<Operation | null>;
  /** Newest first, and how many match in all. */
  list(filter: OperationFilter): Promise<OperationPage>;
  /** Replaces the mutable part: state, steps, failure, updatedAt. Never the cancel flag. */
  save(operation: Operation): Promise<void>;
  /** Sets the cancel flag on an open operation; false when it is not open. */
  requestCancel(id: string): Promise<boolean>;
  /** Open ones, oldest first. */
  open(): Promise<readonly Operation[]>;
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
  /** How many of the tenant's are not revoked. */
  countLive(tenant: string): Promise<number>;
  /** False when there is none, or it is revoked already. */
  revoke(id: string, at: string): Promise<boolean>;
  /** Never back to an earlier time; nothing when there is none. */
  noteUse(id: string, at: string): Promise<void>;
  /** Removes the tenant's revoked ones beyond the `keep` that were revoked last. */
  pruneRevoked(tenant: string, keep: number): Promise<void>;
}

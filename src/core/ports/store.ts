/**
 * What core remembers. Two drivers (SQLite, PostgreSQL) pass one contract suite. A transaction either happens wholly or
 * not at all, is durable when its promise resolves, and must contain no effect outside the store.
 */
import type { Machine, MachineFailure } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import type { Operation } from '../operations/operation.ts';

export interface Store extends Repositories {
  /**
   * Runs `work` in one serialised write transaction. `exhausted` when the disk is full; before that, `work` may be run
   * anew, after what it had done was rolled back.
   */
  transaction<T>(work: (tx: Repositories) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Repositories {
  readonly machines: MachineRepository;
  readonly operations: OperationRepository;
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

export interface OperationRepository {
  /** `conflict` when the machine has an open operation: a unique index, not a lock, says so. */
  insert(operation: Operation): Promise<void>;
  get(id: string): Promise<Operation | null>;
  /** Replaces the mutable part: state, steps, failure, updatedAt. Never the cancel flag. */
  save(operation: Operation): Promise<void>;
  /** Sets the cancel flag on an open operation; false when it is not open. */
  requestCancel(id: string): Promise<boolean>;
  /** Open ones, oldest first. */
  open(): Promise<readonly Operation[]>;
  /** Removes ended operations beyond the newest `keep`. */
  prune(keep: number): Promise<void>;
}

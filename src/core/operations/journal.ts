/**
 * Writes operations to the store. Every write is a compare-and-set on owner, epoch, revision and open state,
 * and includes the subject's change in the same transaction. A write that finds the operation changed or
 * ended raises OperationLost.
 *
 * When the answer of a commit is lost, the journal reads the store to find out whether it was committed.
 */
import { AppError, CommitUnknownError } from '../errors.ts';
import type { Repositories, Store } from '../ports/store.ts';
import type { Operation, Owner, StepPhase } from './operation.ts';

/**
 * Another runner has written the operation, or it has ended. The local runner must stop without further
 * writes.
 */
export class OperationLost extends AppError {
  constructor(operation: Operation) {
    super('conflict', `operation ${operation.id} was taken over or has ended`, {
      hint: 'Read the operation to see how it ended.',
    });
  }
}

/** It is unknown whether a write was committed: the store failed and then could not be read. */
export class WriteUncertain extends AppError {
  constructor(cause: unknown) {
    super('unavailable', 'the database failed while a change was written', {
      cause,
      hint: 'The operation is taken up again when the database answers; read it to see how it ended.',
      isMaybeDone: true,
    });
  }
}

/** Hooks for tests, which stop the world after any write. */
export interface JournalHooks {
  /** Called when a write is durable, before anything else happens. `before` is null for a new operation. */
  written?(before: Operation | null, after: Operation): Promise<void>;
}

export interface JournalDeps {
  readonly store: Store;
  readonly owner: Owner;
  readonly hooks: JournalHooks;
}

export interface Written<T> {
  readonly value: T;
  readonly operation: Operation;
}

export class Journal {
  readonly #deps: JournalDeps;

  constructor(deps: JournalDeps) {
    this.#deps = deps;
  }

  get owner(): Owner {
    return this.#deps.owner;
  }

  /** Runs the transaction in which `work` inserts an operation; null when it inserted none. */
  async begin<T extends { readonly operation: Operation } | null>(
    work: (tx: Repositories) => Promise<T>,
  ): Promise<T> {
    const { store, hooks } = this.#deps;
    const begun = await certainly(store, work, async (value) => {
      // Without an operation nothing was written, so a lost answer loses nothing.
      return value === null || (await store.operations.get(value.operation.id)) !== null;
    });
    if (begun) await hooks.written?.(null, begun.operation);
    return begun;
  }

  /**
   * Replaces `before` by `after`, making this daemon the owner, and runs `within` in the same transaction.
   */
  async write<T>(
    before: Operation,
    after: Operation,
    within: (tx: Repositories, saved: Operation) => Promise<T>,
  ): Promise<Written<T>> {
    const { store, owner, hooks } = this.#deps;
    const owned = { ...after, owner };
    const written = await certainly(
      store,
      async (tx) => {
        const saved = await tx.operations.save(before, owned);
        if (!saved) throw new OperationLost(before);
        return { value: await within(tx, saved), operation: saved };
      },
      async () => isSameWrite(await store.operations.get(owned.id), owned),
    );
    await hooks.written?.(before, written.operation);
    return written;
  }
}

/** The steps whose phase a write changed; for hooks. */
export function changedSteps(
  before: Operation | null,
  after: Operation,
): readonly { readonly name: string; readonly phase: StepPhase }[] {
  return after.steps.filter(({ name, phase, at }) => {
    const previous = before?.steps.find((record) => record.name === name);
    return previous?.phase !== phase || previous.at !== at;
  });
}

function isSameWrite(stored: Operation | null, wanted: Operation): boolean {
  return (
    stored?.revision === wanted.revision &&
    stored.owner.hostId === wanted.owner.hostId &&
    stored.owner.epoch === wanted.owner.epoch
  );
}

/**
 * Runs `work` in a transaction. When the answer of the commit is lost, `wasCommitted` checks the store: if it
 * was committed, the work's value is returned, else the store's error is raised. Raises WriteUncertain when
 * the store cannot be read.
 */
export async function certainly<T>(
  store: Store,
  work: (tx: Repositories) => Promise<T>,
  wasCommitted: (value: T) => Promise<boolean>,
): Promise<T> {
  const done: { value: T }[] = [];
  try {
    return await store.transaction(async (tx) => {
      done.length = 0;
      const value = await work(tx);
      done.push({ value });
      return value;
    });
  } catch (error) {
    const [last] = done;
    if (!(error instanceof CommitUnknownError) || !last) throw error;
    const isCommitted = await wasCommitted(last.value).catch(() => {
      throw new WriteUncertain(error);
    });
    if (isCommitted) return last.value;
    throw error;
  }
}

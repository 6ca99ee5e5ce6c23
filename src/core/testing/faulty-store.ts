/** A store whose commits fail as scripted, on either database; a failed commit is really rolled back. */
import { AppError, CommitUnknownError } from '../errors.ts';
import type { Repositories, Store } from '../ports/store.ts';

/**
 * `refused`: nothing was written, and the error says so. `lost`: it was written, but the answer was lost.
 * `vanished`: it was not written, and the answer was lost. The last two raise the same CommitUnknownError.
 */
export const commitFaults = ['refused', 'lost', 'vanished'] as const;
export type CommitFault = (typeof commitFaults)[number];

export interface FaultyStore {
  readonly store: Store;
  /** Number of transactions and single writes that reached their commit, including failed ones. */
  readonly commits: number;
  /** The `nth` commit from now on (1: the next) fails in this way, and so do the `count - 1` after it. */
  failAt(nth: number, fault: CommitFault, count?: number): void;
}

/** Reads commit nothing; every other repository method is its own transaction. */
const reads: ReadonlySet<string> = new Set([
  'get',
  'find',
  'list',
  'all',
  'damaged',
  'open',
  'withPrefix',
  'countLive',
  'count',
  'memoryMib',
  'epoch',
  'after',
  'latest',
  'countOnImage',
  'imageDigests',
  'ids',
  'inEnvironment',
  'countInEnvironment',
  'due',
  'usage',
  'openOn',
  'hold',
  'share',
]);

export function faultyStore(inner: Store): FaultyStore {
  let commits = 0;
  let faulty: { readonly from: number; readonly to: number; readonly fault: CommitFault } | null = null;

  const nextFault = (): CommitFault | null => {
    commits += 1;
    return faulty !== null && commits >= faulty.from && commits <= faulty.to ? faulty.fault : null;
  };

  const transaction = async <T>(work: (tx: Repositories) => Promise<T>): Promise<T> => {
    let fault: CommitFault | null = null;
    const value = await inner.transaction(async (tx) => {
      const result = await work(tx);
      // Work that throws does not reach its commit.
      fault = nextFault();
      if (fault !== null && fault !== 'lost') throw failure(fault);
      return result;
    });
    if (fault !== null) throw failure(fault);
    return value;
  };

  const writing = (repository: object, name: keyof Repositories): object =>
    new Proxy(repository, {
      get(target, property, receiver) {
        const method: unknown = Reflect.get(target, property, receiver);
        if (typeof method !== 'function' || reads.has(String(property))) return method;
        return (...args: readonly unknown[]) =>
          transaction(async (tx) => Reflect.apply(Reflect.get(tx[name], property), tx[name], args));
      },
    });

  const store = new Proxy(inner, {
    get(target, property, receiver) {
      if (property === 'transaction') return transaction;
      const value: unknown = Reflect.get(target, property, receiver);
      const isRepository = typeof value === 'object' && value !== null;
      return isRepository ? writing(value, property as keyof Repositories) : value;
    },
  });

  return {
    store,
    get commits() {
      return commits;
    },
    failAt(nth, fault, count = 1) {
      faulty = { from: commits + nth, to: commits + nth + count - 1, fault };
    },
  };
}

function failure(fault: CommitFault): AppError {
  if (fault !== 'refused') return new CommitUnknownError(new Error(`injected: ${fault}`));
  return new AppError('unavailable', 'injected: the commit was refused', { hint: 'try again later' });
}

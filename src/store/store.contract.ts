/** What every database behind the store must do. */
import { describe } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import { machinesContract } from './machines.contract.ts';
import { operationsContract } from './operations.contract.ts';
import { transactionsContract } from './transactions.contract.ts';

/** Makes an empty store; the suite closes it. */
export type OpenStore = () => Promise<Store>;

export function storeContract(name: string, open: OpenStore): void {
  describe(`store contract on ${name}`, () => {
    machinesContract(open);
    operationsContract(open);
    transactionsContract(open);
  });
}

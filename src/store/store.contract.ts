/** The tests that every database behind the store must pass. */
import { describe } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import type { AccessLimits } from './access.ts';
import { environmentsContract } from './environments.contract.ts';
import { keysContract } from './keys.contract.ts';
import { machineListContract } from './machine-list.contract.ts';
import { machinesContract } from './machines.contract.ts';
import { operationsContract } from './operations.contract.ts';
import { ownershipContract } from './ownership.contract.ts';
import { quotasContract } from './quotas.contract.ts';
import { routesContract } from './routes.contract.ts';
import { snapshotsContract } from './snapshots.contract.ts';
import { sshKeysContract } from './ssh-keys.contract.ts';
import { templatesContract } from './templates.contract.ts';
import { transactionsContract } from './transactions.contract.ts';

/** Makes an empty store; the suite closes it before it requests another one in the same test. */
export type OpenStore = (limits?: AccessLimits) => Promise<Store>;

export function storeContract(name: string, open: OpenStore): void {
  describe(`store contract on ${name}`, () => {
    // Separate suites, because each opens a store for each of its tests.
    describe('machines', () => machinesContract(open));
    describe('lists of machines', () => machineListContract(open));
    describe('environments', () => environmentsContract(open));
    describe('operations', () => operationsContract(open));
    describe('ownership', () => ownershipContract(open));
    describe('keys', () => keysContract(open));
    describe('templates', () => templatesContract(open));
    describe('snapshots', () => snapshotsContract(open));
    describe('routes', () => routesContract(open));
    describe('SSH keys', () => sshKeysContract(open));
    describe('quotas', () => quotasContract(open));
    describe('transactions', () => transactionsContract(open));
  });
}

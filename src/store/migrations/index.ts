import { machinesAndOperations } from './0001-machines-and-operations.ts';
import type { Migration } from './migration.ts';

/** Every migration in order; a list, not a folder scan, so that what runs is what was reviewed. */
export const migrations: readonly Migration[] = [machinesAndOperations];

import { machinesAndOperations } from './0001-machines-and-operations.ts';
import { operationTenants } from './0002-operation-tenants.ts';
import { keys } from './0003-keys.ts';
import { ownership } from './0004-ownership.ts';
import { keyMakers } from './0005-key-makers.ts';
import { machineRevisions } from './0006-machine-revisions.ts';
import { machineLifetimes } from './0007-machine-lifetimes.ts';
import type { Migration } from './migration.ts';

/** All migrations in order. A list instead of a folder scan, so that only reviewed migrations run. */
export const migrations: readonly Migration[] = [
  machinesAndOperations,
  operationTenants,
  keys,
  ownership,
  keyMakers,
  machineRevisions,
  machineLifetimes,
];

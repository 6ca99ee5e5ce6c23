import { machinesAndOperations } from './0001-machines-and-operations.ts';
import { operationTenants } from './0002-operation-tenants.ts';
import { keys } from './0003-keys.ts';
import { ownership } from './0004-ownership.ts';
import { keyMakers } from './0005-key-makers.ts';
import { machineRevisions } from './0006-machine-revisions.ts';
import { machineLifetimes } from './0007-machine-lifetimes.ts';
import { templates } from './0008-templates.ts';
import { userData } from './0009-user-data.ts';
import { quotas } from './0010-quotas.ts';
import { environments } from './0011-environments.ts';
import { imageReferences } from './0012-image-references.ts';
import { idleTimes } from './0013-idle-times.ts';
import { sshKeys } from './0014-ssh-keys.ts';
import { routes } from './0015-routes.ts';
import { machineSshKeys } from './0016-machine-ssh-keys.ts';
import { privateRoutes } from './0017-private-routes.ts';
import { savedMemory } from './0018-saved-memory.ts';
import { snapshots } from './0019-snapshots.ts';
import { restingLifetimes } from './0020-resting-lifetimes.ts';
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
  templates,
  userData,
  quotas,
  environments,
  imageReferences,
  idleTimes,
  sshKeys,
  routes,
  machineSshKeys,
  privateRoutes,
  savedMemory,
  snapshots,
  restingLifetimes,
];

/**
 * The directory of one running import, named after its operation: the upload, the result, and the jail's
 * working files. Closed to everyone else, because jailed programs of all tenants run as one user and only
 * reach their starting directory.
 */
import { join } from 'node:path';
import type { StateLayout } from '../layout.ts';

/** Prefix of the directories of running or interrupted imports. */
export const stagingPrefix = '.import-';

export interface Staging {
  readonly dir: string;
  /** The archive while it arrives, and when complete. */
  readonly partial: string;
  readonly upload: string;
  /** The jail's own directory; nothing below it can be trusted. */
  readonly work: string;
  /** The root file system's name in `work`. */
  readonly rootName: string;
  /** The finished root file system, out of the jail's reach. */
  readonly rootPath: string;
  readonly kit: string;
  /** The record of the result; exists when everything is complete. */
  readonly made: string;
}

export function stagingOf(state: StateLayout, id: string): Staging {
  const dir = join(state.images, `${stagingPrefix}${id}`);
  return {
    dir,
    partial: join(dir, 'upload.part'),
    upload: join(dir, 'upload'),
    work: join(dir, 'work'),
    rootName: 'root.ext4',
    rootPath: join(dir, 'root.ext4'),
    kit: join(dir, 'kit'),
    made: join(dir, 'made.json'),
  };
}

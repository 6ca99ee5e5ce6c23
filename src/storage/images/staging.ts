/**
 * The directory of one import under way, named for its operation: what was received, what is made of it, and what the
 * jail may touch. Closed to everyone else: two tenants' programs run as one user and reach only where they start.
 */
import { join } from 'node:path';
import type { StateLayout } from '../layout.ts';

/** What an interrupted import leaves is named so. */
export const stagingPrefix = '.import-';

export interface Staging {
  readonly dir: string;
  /** The archive as it is received, and whole. */
  readonly partial: string;
  readonly upload: string;
  /** The jail's own directory; below it nothing may be trusted. */
  readonly work: string;
  /** The root file system's name within `work`. */
  readonly rootName: string;
  /** The finished root file system, out of the jail's reach. */
  readonly rootPath: string;
  readonly kit: string;
  /** The record of what was made; there when all of it is. */
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

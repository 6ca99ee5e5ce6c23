/** `flotilla gc`: removes quarantined disks. Works beside a daemon. */
import { listQuarantine, removeQuarantined } from '../storage/disks/quarantine.ts';
import { StateLayout } from '../storage/layout.ts';
import type { Config } from './config.ts';

export interface GcOptions {
  /** Only prints what would be removed. */
  readonly isDryRun: boolean;
}

export async function gc(
  config: Config,
  { isDryRun }: GcOptions,
  print: (line: string) => void,
): Promise<void> {
  const layout = new StateLayout(config.stateDir);
  const found = await listQuarantine(layout);
  if (!isDryRun) await removeQuarantined(layout, found);
  for (const { machineId, path, since } of found) {
    const did = isDryRun ? 'Would remove' : 'Removed';
    print(`${did} disk of unknown machine ${machineId}, in ${path} since ${since.toISOString()}`);
  }
  if (found.length === 0) print('Nothing to remove');
}

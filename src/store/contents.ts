/**
 * Reads what a database records for a host, from any schema version up to this program's and before any
 * migration, so that a database that belongs elsewhere can be refused unchanged. Changes nothing.
 */
import type { HostContents, RecordedMachine } from '../core/ports/store.ts';
import type { OpenDatabase } from './database.ts';

/** Schema versions that introduced the table of hosts and the revision of machines: see migrations/. */
const hostsSince = 4;
const revisionsSince = 6;

/** Includes rows of which this program can only read the id. `version`: the database's schema. */
export async function readContents(
  { reads }: Pick<OpenDatabase, 'reads'>,
  version: number,
  hostId: string | null,
): Promise<HostContents> {
  if (version === 0) return { hasHosts: false, epoch: null, recorded: [], unowned: [] };
  const knowsHosts = version >= hostsSince;
  const machinesOf = async (owner: string): Promise<readonly RecordedMachine[]> => {
    const rows = await reads
      .selectFrom('machines')
      .select('id')
      .$if(version >= revisionsSince, (query) => query.select('revision'))
      .$if(knowsHosts, (query) => query.where('host_id', '=', owner))
      .execute();
    return rows.map(({ id, revision = 0 }) => ({ id, revision }));
  };
  const unowned = await machinesOf('');
  if (!knowsHosts) return { hasHosts: false, epoch: null, recorded: [], unowned };
  const hosts = await reads.selectFrom('hosts').select(['id', 'epoch']).execute();
  const host = hosts.find(({ id }) => id === hostId);
  const recorded = hostId === null ? [] : await machinesOf(hostId);
  return { hasHosts: hosts.length > 0, epoch: host?.epoch ?? null, recorded, unowned };
}

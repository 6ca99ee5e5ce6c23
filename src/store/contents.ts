/**
 * What a database records for a host, read from any schema up to this program's and before it is brought up to date: one that
 * belongs elsewhere is refused as it is. Changes nothing.
 */
import type { HostContents, RecordedMachine } from '../core/ports/store.ts';
import type { OpenDatabase } from './database.ts';

/** Since when there are hosts, and since when a machine's record counts its writes: see migrations/. */
const hostsSince = 4;
const revisionsSince = 6;

/** Rows of which this program can read nothing else count too. `version`: of the database's schema. */
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

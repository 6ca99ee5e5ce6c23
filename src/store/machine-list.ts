/** Which machines a list shows, and in which order: every filter is part of the query, so that a page costs a page. */
import { type Kysely, type SqlBool, sql } from 'kysely';
import type { LabelFilter, MachineFilter, MachineSort } from '../core/ports/store.ts';
import type { Access } from './access.ts';
import { isPostgres } from './dialect.ts';
import { canHold, checkPage, type Database, encodeJson, encodeTime, type MachineTable } from './schema.ts';

/** What a page selects: a handle, a failure and the like are not shown, and may be large. */
const listedColumns = ['id', 'name', 'state', 'spec', 'created_at', 'updated_at', 'expires_at'] as const;
export type ListedRow = Pick<MachineTable, (typeof listedColumns)[number]>;

export interface MachineRows {
  readonly rows: readonly ListedRow[];
  /** How many match, on all pages. */
  readonly total: number;
}

export async function listRows(access: Access, filter: MachineFilter): Promise<MachineRows> {
  checkPage(filter);
  // `in ()` is an error to PostgreSQL.
  const { states, images } = filter;
  if (states?.length === 0 || images?.length === 0 || images?.every(canHold) === false)
    return { rows: [], total: 0 };
  const rows = await access.read((db) => selectPage(db, filter).execute());
  const total = rows[0]?.total ?? (await count(access, filter));
  return { rows, total: Number(total) };
}

/** See MachineRepository.due. */
export function dueRows(
  access: Access,
  hostId: string,
  at: string,
  limit: number,
): Promise<readonly MachineTable[]> {
  const time = encodeTime(at);
  return access.read((db) =>
    db
      .selectFrom('machines')
      .selectAll()
      .where('host_id', '=', hostId)
      .where((eb) => eb.or([eb('expires_at', '<=', time), eb('restart_at', '<=', time)]))
      .orderBy('id')
      .limit(limit)
      .execute(),
  );
}

/** See MachineRepository.idle. */
export function idleRows(
  access: Access,
  hostId: string,
  at: string,
  limit: number,
): Promise<readonly MachineTable[]> {
  return access.read((db) =>
    db
      .selectFrom('machines')
      .selectAll()
      .where('host_id', '=', hostId)
      .where('idle_at', '<=', encodeTime(at))
      .orderBy('idle_at')
      .orderBy('id')
      .limit(limit)
      .execute(),
  );
}

/** The rows that match, before they are ordered and cut into pages. */
function matching(db: Kysely<Database>, { tenant, states, images, labels = [] }: MachineFilter) {
  const query = db
    .selectFrom('machines')
    .$if(tenant !== undefined, (all) => all.where('tenant', '=', tenant ?? ''))
    .$if(states !== undefined, (all) => all.where('state', 'in', states ?? []))
    .$if(images !== undefined, (all) =>
      all.where((eb) =>
        eb.or(
          (['image', 'image_ref', 'image_digest'] as const).map((column) => eb(column, 'in', images ?? [])),
        ),
      ),
    );
  return labels.reduce((all, label) => all.where(hasLabel(label)), query);
}

function hasLabel({ key, value }: LabelFilter) {
  const isValue = value === undefined ? sql`` : sql`and ${sql.ref('value')} = ${encodeJson(value)}`;
  return sql<SqlBool>`exists (select 1 from ${sql.table('machine_labels')}
    where ${sql.ref('machine_id')} = ${sql.ref('machines.id')}
    and ${sql.ref('key')} = ${encodeJson(key)} ${isValue})`;
}

function selectPage(db: Kysely<Database>, filter: MachineFilter) {
  const total = matching(db, filter).select(({ fn }) => fn.countAll<number | string>().as('total'));
  const { by, isDescending } = filter.sort ?? newestFirst;
  const direction = isDescending ? 'desc' : 'asc';
  return matching(db, filter)
    .select(listedColumns)
    .select(total.as('total'))
    .orderBy(by === 'name' ? inBytes(db, by) : sql.ref(by), direction)
    .orderBy('id', direction)
    .limit(filter.limit)
    .offset(filter.offset);
}

const newestFirst: MachineSort = { by: 'created_at', isDescending: true };

/** Text in the order of its bytes, which is SQLite's; PostgreSQL's depends on the locale of the database. */
function inBytes(db: Kysely<Database>, column: string) {
  return isPostgres(db) ? sql`${sql.ref(column)} collate "C"` : sql.ref(column);
}

/** For a page that holds nothing and so cannot say how much there is. */
async function count(access: Access, filter: MachineFilter): Promise<number | string> {
  const { total } = await access.read((db) =>
    matching(db, filter)
      .select(({ fn }) => fn.countAll<number | string>().as('total'))
      .executeTakeFirstOrThrow(),
  );
  return total;
}

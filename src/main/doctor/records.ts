/**
 * Reads the database without leaving a trace. While the daemon runs, its file is opened read-only, which
 * SQLite allows. Without a daemon even a reader would leave files beside it, so a copy is read. PostgreSQL is
 * read directly.
 */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely } from 'kysely';
import type { Machine } from '../../core/machines/machine.ts';
import type { Operation } from '../../core/operations/operation.ts';
import type { DamagedMachine, HostContents } from '../../core/ports/store.ts';
import { exists } from '../../lib/files.ts';
import { type Finding, fail, ok, warn } from '../../setup/doctor/finding.ts';
import { readContents } from '../../store/contents.ts';
import type { OpenDatabase } from '../../store/database.ts';
import { migrations } from '../../store/migrations/index.ts';
import { openPostgres } from '../../store/postgres.ts';
import type { Database, MigrationTable } from '../../store/schema.ts';
import { SqliteReaderDialect } from '../../store/sqlite-reader.ts';
import { StatementCache } from '../../store/statement-cache.ts';
import { createStore } from '../../store/store.ts';

const busyTimeoutMs = 2_000;
const statementCountMax = 10;
const damageLinesMax = 5;

export interface Records {
  machines(): Promise<readonly Machine[]>;
  openOperations(): Promise<readonly Operation[]>;
  readonly contents: (hostId: string | null) => Promise<HostContents>;
  /** Findings about unreadable records. */
  damaged(): Promise<readonly Finding[]>;
  readonly damagedMachines: () => Promise<readonly DamagedMachine[]>;
}

/** Called with the records if this program can read any; otherwise `findings` say why not. */
export type Work<T> = (records: Records | null, findings: readonly Finding[]) => Promise<T>;

/** The database: PostgreSQL at the URL, else the SQLite file at `path`. */
export interface RecordsPlace {
  readonly databaseUrl: string | null;
  readonly path: string;
  /** The host whose records are read; null when it has no id yet, before the first daemon of this version. */
  readonly hostId: string | null;
}

/** Runs `work` while the database is open. Raises errors of opening a database. */
export async function withRecords<T>(
  { databaseUrl, path, hostId }: RecordsPlace,
  isDaemonRunning: boolean,
  work: Work<T>,
): Promise<T> {
  if (databaseUrl !== null) return withDatabase(await openPostgres(databaseUrl), hostId, [], work);
  if (!(await exists(path))) {
    return work(null, [ok('database', 'none yet; the first start of the daemon makes it')]);
  }
  if (isDaemonRunning) return withFile(path, hostId, true, work);
  const copy = await mkdtemp(join(tmpdir(), 'flotilla-doctor-'));
  try {
    const target = join(copy, 'flotilla.db');
    await copyFile(path, target);
    if (await exists(`${path}-wal`)) await copyFile(`${path}-wal`, `${target}-wal`);
    return await withFile(target, hostId, false, work);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

/** Judges the applied schema steps. Pure. */
export function checkSchema(applied: readonly MigrationTable[], known: readonly MigrationTable[]): Finding {
  const found = applied.at(-1)?.version ?? 0;
  const newest = known.at(-1)?.version ?? 0;
  if (found > newest) {
    const message = `its schema has version ${found}, this program knows versions up to ${newest}`;
    return fail('database', message, 'Run the checkout that last used it, or a newer one.');
  }
  if (
    applied.some(
      ({ version, name }, index) => known[index]?.version !== version || known[index].name !== name,
    )
  ) {
    return fail('database', 'its schema was made by another line of this program', 'Use that checkout.');
  }
  if (found === newest) return ok('database', `schema version ${found}`);
  return warn('database', `its schema has version ${found}; the next start brings it to ${newest}`);
}

async function withFile<T>(
  path: string,
  hostId: string | null,
  readOnly: boolean,
  work: Work<T>,
): Promise<T> {
  const database = new DatabaseSync(path, { readOnly, timeout: busyTimeoutMs, defensive: true });
  let damage: readonly Finding[];
  try {
    damage = checkDamage(database);
  } catch (error) {
    database.close();
    const message = `it cannot be read: ${error instanceof Error ? error.message : String(error)}`;
    return work(null, [fail('database', message, restoreHint)]);
  }
  const statements = new StatementCache(database, statementCountMax);
  const db = new Kysely<Database>({ dialect: new SqliteReaderDialect(statements) });
  const close = async () => {
    await db.destroy();
    // Kysely closes nothing if no query ever ran.
    statements.close();
  };
  return withDatabase({ db, reads: db, isOurs: false, writersMax: 1, close }, hostId, damage, work);
}

async function withDatabase<T>(
  database: OpenDatabase,
  hostId: string | null,
  damage: readonly Finding[],
  work: Work<T>,
): Promise<T> {
  const store = createStore(database);
  try {
    const findings = [...damage, checkSchema(await readSchema(database), migrations)];
    if (findings.some(({ level }) => level !== 'ok')) return await work(null, findings);
    const records: Records = {
      contents: (id) => readContents(database, migrations.length, id),
      machines: () => store.machines.all(hostId ?? ''),
      openOperations: () => store.operations.open(hostId ?? ''),
      damagedMachines: () => store.machines.damaged(hostId ?? ''),
      damaged: async () => [
        ...(await store.machines.damaged(hostId ?? '')).map(({ id, name, reason }) =>
          fail(
            `machine ${name}`,
            `its record is damaged: ${reason}`,
            damagedHint(`machines where id = '${id}'`),
          ),
        ),
        ...(await store.operations.damaged(hostId ?? '')).map(({ id, reason }) =>
          fail(
            `operation ${id}`,
            `its record is damaged: ${reason}`,
            damagedHint(`operations where id = '${id}'`),
          ),
        ),
      ],
    };
    return await work(records, findings);
  } finally {
    await store.close();
  }
}

/** Names the row, because no command shows it. */
const damagedHint = (row: string) =>
  `It is left alone, with its disk and its VMM. Mend the row, or restore the database from a backup: ${row}`;

const restoreHint = 'Stop the daemon and restore flotilla.db from a backup.';

function checkDamage(database: DatabaseSync): readonly Finding[] {
  const lines = database.prepare(`pragma quick_check(${damageLinesMax})`).all();
  return lines
    .map((row) => String(Object.values(row)[0]))
    .filter((line) => line !== 'ok')
    .map((line) => fail('database', `it is damaged: ${line}`, restoreHint));
}

async function readSchema({ db }: OpenDatabase): Promise<readonly MigrationTable[]> {
  const tables = await db.introspection.getTables();
  if (!tables.some(({ name }) => name === 'schema_migrations')) return [];
  return db.selectFrom('schema_migrations').select(['version', 'name']).orderBy('version').execute();
}

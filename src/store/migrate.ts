/** Migrates a database to the schema of this program; never to an older one. */
import type { Kysely } from 'kysely';
import { AppError } from '../core/errors.ts';
import { invariant } from '../lib/invariant.ts';
import type { OpenDatabase } from './database.ts';
import { locksIn } from './locks.ts';
import { migrations as allMigrations } from './migrations/index.ts';
import type { Migration } from './migrations/migration.ts';
import type { Database, MigrationTable } from './schema.ts';

/**
 * The version of the database's schema; 0 for an empty database. Raises `unsupported` when the database is
 * newer than the program or was made by another build. Changes nothing.
 */
export async function readVersion({ reads }: Pick<OpenDatabase, 'reads'>): Promise<number> {
  const tables = await reads.introspection.getTables();
  if (!tables.some(({ name }) => name === 'schema_migrations')) return 0;
  const applied = await appliedIn(reads);
  refuseForeign(applied, allMigrations);
  return applied.length;
}

function appliedIn(db: Kysely<Database>): Promise<readonly MigrationTable[]> {
  return db.selectFrom('schema_migrations').select(['version', 'name']).orderBy('version').execute();
}

/**
 * Applies missing migrations, all in one transaction. Idempotent; of two concurrent calls, the second finds
 * nothing to do. Raises `unsupported` like `readVersion`, with the database unchanged.
 */
export async function migrate(
  database: Pick<OpenDatabase, 'db' | 'writersMax'>,
  migrations: readonly Migration[] = allMigrations,
): Promise<void> {
  migrations.forEach(({ version }, index) => {
    invariant(version === index + 1, 'migrations are numbered 1, 2, 3…');
  });
  await database.db.transaction().execute(async (tx) => {
    await locksIn(tx, database).name('schema_migrations');
    await tx.schema
      .createTable('schema_migrations')
      .ifNotExists()
      .addColumn('version', 'integer', (column) => column.primaryKey().notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .execute();
    const applied = await appliedIn(tx);
    refuseForeign(applied, migrations);
    for (const { version, name, up } of migrations.slice(applied.length)) {
      await up(tx.$pickTables<never>());
      await tx.insertInto('schema_migrations').values({ version, name }).execute();
    }
  });
}

function refuseForeign(applied: readonly MigrationTable[], known: readonly Migration[]): void {
  const found = applied.at(-1)?.version ?? 0;
  if (found > known.length) {
    throw new AppError(
      'unsupported',
      `the database has schema version ${found}, this program knows versions up to ${known.length}`,
      { hint: 'Run the version of Flotilla that last used this database, or a newer one.' },
    );
  }
  applied.forEach(({ version, name }, index) => {
    const expected = known[index];
    if (version === expected?.version && name === expected.name) return;
    throw new AppError(
      'unsupported',
      `the database's schema step ${version} is '${name}', this program's step ${index + 1} is '${expected?.name}'`,
      { hint: 'Another build of Flotilla made this database; use that build.' },
    );
  });
}

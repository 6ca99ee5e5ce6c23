/** Tells which database a Kysely instance uses. */
import { type Kysely, PostgresAdapter } from 'kysely';

/** Whether queries go to PostgreSQL, which has row locks. SQLite has a single writer. */
export function isPostgres(db: Pick<Kysely<unknown>, 'getExecutor'>): boolean {
  return db.getExecutor().adapter instanceof PostgresAdapter;
}

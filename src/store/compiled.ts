/**
 * Queries that are asked often, built and compiled once for each kind of database. Building one anew takes Kysely longer
 * than SQLite takes to answer it.
 */
import type { Compilable, CompiledQuery, Kysely } from 'kysely';
import { invariant } from '../lib/invariant.ts';
import type { Database } from './schema.ts';

/** Stands for an argument while its query is built. */
class Placeholder {
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }
}

/**
 * A query as a function of a database and of arguments that take the places `build` gave them. `build` must use each
 * argument as a value to bind and look into none.
 */
export function compiledQuery<Arguments extends readonly (string | number)[], Row>(
  build: (db: Kysely<Database>, ...args: Arguments) => Compilable<Row>,
): (db: Kysely<Database>, ...args: Arguments) => Promise<readonly Row[]> {
  // SQLite's and PostgreSQL's adapters differ; a transaction has the one of its database.
  const byAdapter = new WeakMap<object, CompiledQuery<Row>>();
  return async (db, ...args) => {
    const { adapter } = db.getExecutor();
    let query = byAdapter.get(adapter);
    if (query === undefined) {
      const placeholders = args.map((_, index) => new Placeholder(index)) as unknown as Arguments;
      query = build(db, ...placeholders).compile();
      byAdapter.set(adapter, query);
    }
    const parameters = query.parameters.map((value) =>
      value instanceof Placeholder ? args[value.index] : value,
    );
    invariant(!parameters.includes(undefined), 'a compiled query lacks an argument');
    const { rows } = await db.executeQuery<Row>({ ...query, parameters });
    return rows;
  };
}

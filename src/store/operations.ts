/** Operations in the database. */
import { AppError } from '../core/errors.ts';
import type { Operation, OperationState } from '../core/operations/operation.ts';
import type { OperationFilter, OperationPage, OperationRepository } from '../core/ports/store.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { DuplicateError } from './database.ts';
import { decodeOperation, encodeOperation, encodeProgress } from './operation-row.ts';
import { canHold, checkPage } from './schema.ts';

/** As in the partial unique index `operations_one_open`. */
const openStates: readonly OperationState[] = ['running', 'undoing'];

export function operationRepository(access: Access): OperationRepository {
  return {
    insert: (operation) => insert(access, operation),
    get: async (id) => {
      if (!canHold(id)) return null;
      const row = await access.read((db, locks) =>
        locks.rows(db.selectFrom('operations').selectAll().where('id', '=', id)).executeTakeFirst(),
      );
      return row === undefined ? null : decodeOperation(row);
    },
    list: (filter) => list(access, filter),
    save: async (operation) => {
      const result = await access.atomically((db) =>
        db
          .updateTable('operations')
          .set(encodeProgress(operation))
          .where('id', '=', operation.id)
          .executeTakeFirst(),
      );
      invariant(result.numUpdatedRows === 1n, `operation ${operation.id} was never inserted`);
    },
    requestCancel: async (id) => {
      if (!canHold(id)) return false;
      const result = await access.atomically((db) =>
        db
          .updateTable('operations')
          .set({ is_cancel_requested: 1 })
          .where('id', '=', id)
          .where('state', 'in', openStates)
          .executeTakeFirst(),
      );
      return result.numUpdatedRows === 1n;
    },
    open: async () => {
      const rows = await access.read((db) =>
        db
          .selectFrom('operations')
          .selectAll()
          .where('state', 'in', openStates)
          .orderBy('created_at')
          .orderBy('id')
          .execute(),
      );
      return rows.map(decodeOperation);
    },
    prune: (keep) => prune(access, keep),
  };
}

async function insert(access: Access, operation: Operation): Promise<void> {
  const row = encodeOperation(operation);
  try {
    await access.atomically((db) => db.insertInto('operations').values(row).execute());
  } catch (error) {
    if (!(error instanceof DuplicateError) || !error.isOn('machine_id')) throw error;
    throw new AppError('conflict', `Machine '${operation.machineId}' has an operation under way`, {
      cause: error,
      hint: 'wait for it to end, then try again',
    });
  }
}

async function list(access: Access, filter: OperationFilter): Promise<OperationPage> {
  const { tenant, machineId, states, limit, offset } = filter;
  checkPage(filter);
  // `in ()` is an error to PostgreSQL, and so is text that holds NUL.
  if (states?.length === 0 || !canHold(machineId ?? '')) return { operations: [], total: 0 };
  const { rows, total } = await access.snapshot(async (db) => {
    const matching = db
      .selectFrom('operations')
      .where('tenant', '=', tenant)
      .$if(machineId !== undefined, (query) => query.where('machine_id', '=', machineId ?? ''))
      .$if(states !== undefined, (query) => query.where('state', 'in', states ?? []));
    const counted = await matching
      .select(({ fn }) => fn.countAll<number | string>().as('total'))
      .executeTakeFirstOrThrow();
    const page = await matching
      .selectAll()
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .limit(limit)
      .offset(offset)
      .execute();
    return { rows: page, total: Number(counted.total) };
  });
  return { operations: rows.map(decodeOperation), total };
}

async function prune(access: Access, keep: number): Promise<void> {
  invariant(Number.isSafeInteger(keep) && keep >= 0, `not a count: ${keep}`);
  await access.atomically((db) =>
    db
      .deleteFrom('operations')
      .where('id', 'in', (eb) =>
        eb
          .selectFrom(
            eb
              .selectFrom('operations')
              .select(({ fn }) => [
                'id',
                fn
                  .agg<number>('row_number')
                  .over((ob) => ob.partitionBy('tenant').orderBy('created_at', 'desc').orderBy('id', 'desc'))
                  .as('position'),
              ])
              .where('state', 'not in', openStates)
              .as('ended'),
          )
          .select('ended.id')
          .where('ended.position', '>', keep),
      )
      .execute(),
  );
}

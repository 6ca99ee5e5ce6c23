/** Operations in the database. */
import { AppError } from '../core/errors.ts';
import type { Event, EventType } from '../core/events/event.ts';
import { isOpen, type Operation, openStates, type Subject } from '../core/operations/operation.ts';
import type { OperationFilter, OperationPage, OperationRepository } from '../core/ports/store.ts';
import { invariant } from '../lib/invariant.ts';
import type { Access } from './access.ts';
import { type Damage, damageOf, decodeOne } from './damage.ts';
import { DuplicateError } from './database.ts';
import { recordEvent } from './events.ts';
import { decodeOperation, encodeOperation, encodeProgress } from './operation-row.ts';
import { canHold, checkPage, encodeBoolean, type OperationTable } from './schema.ts';

export function operationRepository(access: Access, damage: Damage): OperationRepository {
  return {
    insert: (operation) => insert(access, operation),
    get: async (id) => {
      if (!canHold(id)) return null;
      const row = await access.read((db, locks) =>
        locks.rows(db.selectFrom('operations').selectAll().where('id', '=', id)).executeTakeFirst(),
      );
      return row === undefined ? null : decodeOne('operation', row, decodeOperation);
    },
    list: (filter) => list(access, damage, filter),
    openOn: (subject) => openOn(access, subject),
    save: (before, after) => save(access, before, after),
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
    open: async (hostId) => damage.readable('operation', await openRows(access, hostId), decodeOperation),
    damaged: async (hostId) =>
      (await openRows(access, hostId)).flatMap((row) => {
        const reason = damageOf(row, decodeOperation);
        return reason === null ? [] : [{ id: row.id, reason }];
      }),
    prune: (keep) => prune(access, keep),
  };
}

async function openOn(access: Access, { kind, id }: Subject): Promise<Operation | null> {
  if (!canHold(id)) return null;
  const row = await access.read((db) =>
    db
      .selectFrom('operation_subjects as subject')
      .innerJoin('operations', 'operations.id', 'subject.operation_id')
      .selectAll('operations')
      .where('subject.kind', '=', kind)
      .where('subject.subject_id', '=', id)
      .where('subject.is_open', '=', 1)
      .executeTakeFirst(),
  );
  return row === undefined ? null : decodeOne('operation', row, decodeOperation);
}

function openRows(access: Access, hostId: string): Promise<readonly OperationTable[]> {
  return access.read((db) =>
    db
      .selectFrom('operations')
      .selectAll()
      .where('host_id', '=', hostId)
      .where('state', 'in', openStates)
      .orderBy('created_at')
      .orderBy('id')
      .execute(),
  );
}

async function insert(access: Access, operation: Operation): Promise<void> {
  const row = encodeOperation(operation);
  const subjects = operation.subjects.map(({ kind, id }) => ({
    operation_id: operation.id,
    kind,
    subject_id: id,
    is_open: encodeBoolean(isOpen(operation)),
  }));
  try {
    await access.atomically(async (db) => {
      await db.insertInto('operations').values(row).execute();
      await db.insertInto('operation_subjects').values(subjects).execute();
      await recordEvent(db, eventOf(operation, 'operation.begun'));
    });
  } catch (error) {
    if (!(error instanceof DuplicateError) || !error.isOn('kind', 'subject_id')) throw error;
    const named = operation.subjects.map(({ kind, id }) => `${kind} '${id}'`).join(', ');
    throw new AppError('conflict', `${named}: another operation is under way`, {
      cause: error,
      hint: 'Wait for it to end, then try again.',
    });
  }
}

/** The condition on the row makes this a compare-and-set on either database. */
async function save(access: Access, before: Operation, after: Operation): Promise<Operation | null> {
  const { id, owner, revision } = before;
  return access.atomically(async (db) => {
    const [row] = await db
      .updateTable('operations')
      .set({ ...encodeProgress(after), ...(after.isCancelRequested ? { is_cancel_requested: 1 } : {}) })
      .where('id', '=', id)
      .where('state', 'in', openStates)
      .where('host_id', '=', owner.hostId)
      .where('epoch', '=', owner.epoch)
      .where('revision', '=', revision)
      .returningAll()
      .execute();
    if (!row) return null;
    if (!isOpen(after)) {
      await db.updateTable('operation_subjects').set({ is_open: 0 }).where('operation_id', '=', id).execute();
    }
    if (before.state !== after.state) {
      const type = after.state === 'undoing' ? 'operation.undoing' : 'operation.ended';
      await recordEvent(db, eventOf(after, type));
    }
    return decodeOperation(row);
  });
}

function eventOf(operation: Operation, type: EventType): Event {
  const { id, tenant, kind, subjects, state, failure, updatedAt } = operation;
  const data = { kind, subjects, state, failure: failure?.code ?? null };
  return { type, tenant, subject: { kind: 'operation', id }, data, at: updatedAt };
}

async function list(access: Access, damage: Damage, filter: OperationFilter): Promise<OperationPage> {
  const { tenant, subject, states, limit, offset } = filter;
  checkPage(filter);
  // `in ()` is an error in PostgreSQL, and so is text with NUL.
  if (states?.length === 0 || !canHold(subject?.id ?? '')) return { operations: [], total: 0 };
  const { rows, total } = await access.snapshot(async (db) => {
    const matching = db
      .selectFrom('operations')
      .where('tenant', '=', tenant)
      .$if(subject !== undefined, (query) =>
        query.where('id', 'in', (eb) =>
          eb
            .selectFrom('operation_subjects')
            .select('operation_id')
            .where('kind', '=', subject?.kind ?? '')
            .where('subject_id', '=', subject?.id ?? ''),
        ),
      )
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
  return { operations: damage.readable('operation', rows, decodeOperation), total };
}

async function prune(access: Access, keep: number): Promise<void> {
  invariant(Number.isSafeInteger(keep) && keep >= 0, `not a count: ${keep}`);
  await access.atomically(async (db) => {
    await db
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
      .execute();
    await db
      .deleteFrom('operation_subjects')
      .where('operation_id', 'not in', (eb) => eb.selectFrom('operations').select('id'))
      .where('is_open', '=', 0)
      .execute();
  });
}

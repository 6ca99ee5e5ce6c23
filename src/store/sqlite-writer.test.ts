/** Errors of the writer's driver when the writer thread is gone. */
import { Kysely } from 'kysely';
import { expect, it } from 'vitest';
import { CommitUnknownError } from '../core/errors.ts';
import type { Database } from './schema.ts';
import type { Request } from './sqlite-protocol.ts';
import { ThreadLostError } from './sqlite-thread.ts';
import { SqliteWriterDialect } from './sqlite-writer.ts';

/** A database whose thread is lost at the request matched by `isLast`, and the requests it got. */
function losing(isLast: (text: string) => boolean) {
  const asked: string[] = [];
  const request = async (asking: Request) => {
    const text = asking.kind === 'run' ? asking.sql : asking.kind;
    asked.push(text);
    if (isLast(text)) throw new ThreadLostError('its thread has ended');
    return { id: 1, rows: [], changes: 1 };
  };
  return { asked, db: new Kysely<Database>({ dialect: new SqliteWriterDialect(async () => ({ request })) }) };
}

const write = (db: Kysely<Database>) => db.transaction().execute((tx) => tx.deleteFrom('api_keys').execute());

it('reports an unanswered commit as uncertain', async () => {
  const { db, asked } = losing((text) => text === 'commit');
  await expect(write(db)).rejects.toBeInstanceOf(CommitUnknownError);
  expect(asked.slice(0, 3)).toEqual(['begin immediate', 'delete from "api_keys"', 'commit']);
});

it.each(['begin immediate', 'delete from "api_keys"'])(
  'knows that nothing was committed when the thread was lost at: %s',
  async (last) => {
    const { db } = losing((text) => text === last || text === 'roll back');
    const writing = write(db);
    await expect(writing).rejects.toBeInstanceOf(ThreadLostError);
    await expect(writing).rejects.toMatchObject({ code: 'unavailable', isMaybeDone: false });
  },
);

import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StatementCache } from './statement-cache.ts';

let database: DatabaseSync;
beforeEach(() => {
  database = new DatabaseSync(':memory:');
});
afterEach(() => {
  if (database.isOpen) database.close();
});

it('keeps a statement and returns it again', () => {
  const cache = new StatementCache(database, 3);
  expect(cache.prepare('select 1')).toBe(cache.prepare('select 1'));
  expect(cache.size).toBe(1);
});

it('is bounded, and evicts the least recently used statement', () => {
  const cache = new StatementCache(database, 3);
  const first = cache.prepare('select 0');
  for (let n = 1; n < 50; n++) {
    cache.prepare(`select ${n}`);
    expect(cache.prepare('select 0')).toBe(first);
    expect(cache.size).toBeLessThanOrEqual(3);
  }
  const last = cache.prepare('select 49');
  cache.prepare('select 50');
  cache.prepare('select 51');
  expect(cache.prepare('select 0')).not.toBe(first);
  expect(cache.prepare('select 49')).not.toBe(last);
});

it('distinguishes statements that return rows from others', () => {
  const cache = new StatementCache(database, 3);
  expect(cache.prepare('create table t (a integer)').reader).toBe(false);
  cache.prepare('create table t (a integer)').run([]);
  expect(cache.prepare('insert into t values (?)').run([1]).changes).toBe(1);
  expect(cache.prepare('insert into t values (2) returning a').reader).toBe(true);
  expect(cache.prepare('select a from t').all([])).toHaveLength(1);
});

it('allows a statement to be used while an iterator of it is open', () => {
  const cache = new StatementCache(database, 3);
  const sql = 'select value from (select 1 as value union all select 2)';
  const iterator = cache.prepare(sql).iterate([]);
  expect(iterator.next().value).toMatchObject({ value: 1 });
  expect(cache.prepare(sql).all([])).toHaveLength(2);
  expect(iterator.next().value).toMatchObject({ value: 2 });
});

it('closes the database, and twice', () => {
  const cache = new StatementCache(database, 3);
  cache.prepare('select 1');
  cache.close();
  cache.close();
  expect(database.isOpen).toBe(false);
  expect(cache.size).toBe(0);
});

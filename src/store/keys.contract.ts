import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleKey } from './testing/samples.ts';

export function keysContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  const idsOf = async (tenant?: string) => {
    const page = await store.keys.list({ limit: 99, offset: 0, ...(tenant === undefined ? {} : { tenant }) });
    return page.keys.map(({ id }) => id);
  };

  describe('insert and get', () => {
    it('keep all fields', async () => {
      const bare = sampleKey();
      const full = sampleKey({
        expiresAt: at(1),
        lastUsedAt: at(2),
        revokedAt: at(3),
        scopes: ['*'],
        createdBy: 'maker',
      });
      await store.keys.insert(bare);
      await store.keys.insert(full);
      expect(await store.keys.get(bare.id)).toEqual(bare);
      expect(await store.keys.get(full.id)).toEqual(full);
      expect(await store.keys.get('nobody')).toBeNull();
      expect(await store.keys.get('no\0body')).toBeNull();
    });

    it('raise an InvariantError for a malformed key', async () => {
      await expect(store.keys.insert(sampleKey({ hash: 'secret' }))).rejects.toThrow(InvariantError);
      await expect(store.keys.insert(sampleKey({ scopes: [] }))).rejects.toThrow(InvariantError);
      expect(await idsOf()).toEqual([]);
    });
  });

  it('finds every key with exactly this prefix', async () => {
    const prefix = 'hf_AAAAaaaa';
    await store.keys.insert(sampleKey({ id: 'b', prefix }));
    await store.keys.insert(sampleKey({ id: 'a', prefix, tenant: 'other' }));
    await store.keys.insert(sampleKey({ id: 'c', prefix: prefix.toLowerCase() }));
    expect((await store.keys.withPrefix(prefix)).map(({ id }) => id)).toEqual(['a', 'b']);
    expect(await store.keys.withPrefix('hf_nobody')).toEqual([]);
    expect(await store.keys.withPrefix('hf_\0')).toEqual([]);
  });

  it('lists a tenant’s, or everyone’s, newest first and by pages', async () => {
    await store.keys.insert(sampleKey({ id: 'a', createdAt: at(1) }));
    await store.keys.insert(sampleKey({ id: 'c', createdAt: at(2), revokedAt: at(3) }));
    await store.keys.insert(sampleKey({ id: 'b', createdAt: at(2) }));
    await store.keys.insert(sampleKey({ id: 'd', createdAt: at(3), tenant: 'other' }));
    expect(await idsOf('default')).toEqual(['c', 'b', 'a']);
    expect(await idsOf('other')).toEqual(['d']);
    expect(await idsOf()).toEqual(['d', 'c', 'b', 'a']);
    const page = await store.keys.list({ tenant: 'default', limit: 1, offset: 1 });
    expect([page.keys.map(({ id }) => id), page.total]).toEqual([['b'], 3]);
    await expect(store.keys.list({ limit: -1, offset: 0 })).rejects.toThrow(InvariantError);
  });

  it('revokes once and keeps the time of the first revocation', async () => {
    const { id } = sampleKey();
    await store.keys.insert(sampleKey({ id }));
    expect(await store.keys.countLive('default', at(1))).toBe(1);
    expect(await store.keys.revoke(id, at(5))).toEqual([id]);
    expect(await store.keys.revoke(id, at(6))).toEqual([]);
    expect(await store.keys.revoke('nobody', at(6))).toEqual([]);
    expect(await store.keys.revoke('no\0body', at(6))).toEqual([]);
    expect(await store.keys.get(id)).toMatchObject({ revokedAt: at(5) });
    expect(await store.keys.countLive('default', at(6))).toBe(0);
  });

  it('revokes all keys made with a key, recursively, also behind a revoked one', async () => {
    const made = (id: string, createdBy: string | null, tenant = 'default') =>
      store.keys.insert(sampleKey({ id, createdBy, tenant }));
    await made('root', null);
    await made('child', 'root');
    await made('grandchild', 'child', 'other');
    await made('sister', null);
    await store.keys.revoke('child', at(1));
    await made('late', 'child');
    expect((await store.keys.revoke('root', at(2))).toSorted()).toEqual(['late', 'root']);
    expect(await store.keys.get('grandchild')).toMatchObject({ revokedAt: at(1) });
    expect(await store.keys.get('sister')).toMatchObject({ revokedAt: null });
  });

  it('counts a tenant’s keys and its live keys', async () => {
    await store.keys.insert(sampleKey({ tenant: 'other', expiresAt: at(2) }));
    expect(await store.keys.countLive('default', at(1))).toBe(0);
    expect(await store.keys.countLive('other', at(1))).toBe(1);
    expect(await store.keys.countLive('other', at(2))).toBe(0);
  });

  it('records the latest use, whichever update comes last', async () => {
    const { id } = sampleKey();
    await store.keys.insert(sampleKey({ id }));
    await store.keys.noteUse(id, at(7));
    await store.keys.noteUse(id, at(6));
    expect(await store.keys.get(id)).toMatchObject({ lastUsedAt: at(7) });
    await store.keys.noteUse(id, at(8));
    expect(await store.keys.get(id)).toMatchObject({ lastUsedAt: at(8) });
    await store.keys.noteUse('nobody', at(8));
  });

  it('prunes a tenant’s ended keys, oldest first, and never a live one', async () => {
    await store.keys.insert(sampleKey({ id: 'live', expiresAt: at(9) }));
    await store.keys.insert(sampleKey({ id: 'other', tenant: 'other', revokedAt: at(1) }));
    for (const n of [3, 1]) await store.keys.insert(sampleKey({ id: `revoked${n}`, revokedAt: at(n) }));
    await store.keys.insert(sampleKey({ id: 'expired2', expiresAt: at(2) }));
    await store.keys.pruneEnded('default', at(5), 2);
    expect((await idsOf()).toSorted()).toEqual(['expired2', 'live', 'other', 'revoked3']);
    await store.keys.pruneEnded('default', at(5), 0);
    expect((await idsOf()).toSorted()).toEqual(['live', 'other']);
    await expect(store.keys.pruneEnded('default', at(5), -1)).rejects.toThrow(InvariantError);
  });
}

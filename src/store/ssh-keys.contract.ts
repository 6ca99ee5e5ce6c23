import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleSshKey } from './testing/samples.ts';

export function sshKeysContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  describe('insert and find', () => {
    it('keep all fields, and find by id, name and fingerprint within the tenant', async () => {
      const key = sampleSshKey({ name: 'my läptop', createdBy: 'k1' });
      await store.sshKeys.insert(key);
      for (const text of [key.id, key.name, key.fingerprint]) {
        expect(await store.sshKeys.find('default', text)).toEqual(key);
        expect(await store.sshKeys.find('other', text)).toBeNull();
      }
    });

    it('refuse a name or a key that the tenant has, and take both from another one', async () => {
      const key = sampleSshKey({ name: 'laptop' });
      await store.sshKeys.insert(key);
      const { fingerprint } = key;
      await expect(store.sshKeys.insert(sampleSshKey({ name: 'laptop' }))).rejects.toMatchObject({
        code: 'conflict',
        message: "SSH key with name 'laptop' already exists",
      });
      await expect(store.sshKeys.insert(sampleSshKey({ fingerprint }))).rejects.toMatchObject({
        code: 'conflict',
        message: `the SSH key ${fingerprint} is registered already`,
      });
      const others = sampleSshKey({ name: 'laptop', fingerprint, tenant: 'other', createdAt: at(1) });
      await store.sshKeys.insert(others);
      expect(await store.sshKeys.withFingerprint(fingerprint, 9)).toEqual([key, others]);
      expect(await store.sshKeys.withFingerprint(fingerprint, 1)).toEqual([key]);
    });

    it('raise an InvariantError for a malformed key', async () => {
      await expect(store.sshKeys.insert(sampleSshKey({ publicKey: 'x' }))).rejects.toThrow(InvariantError);
      expect(await store.sshKeys.count('default')).toBe(0);
    });
  });

  it('lists a tenant’s, newest first and by pages', async () => {
    await store.sshKeys.insert(sampleSshKey({ id: 'a', name: 'one', createdAt: at(1) }));
    await store.sshKeys.insert(sampleSshKey({ id: 'b', name: 'two', createdAt: at(2) }));
    await store.sshKeys.insert(sampleSshKey({ id: 'c', name: 'three', tenant: 'other' }));
    const names = async (page: { limit: number; offset: number }) => {
      const { keys, total } = await store.sshKeys.list({ tenant: 'default', ...page });
      return { names: keys.map(({ name }) => name), total };
    };
    expect(await names({ limit: 9, offset: 0 })).toEqual({ names: ['two', 'one'], total: 2 });
    expect(await names({ limit: 1, offset: 1 })).toEqual({ names: ['one'], total: 2 });
    expect(await store.sshKeys.count('other')).toBe(1);
  });

  it('removes once; both changes are events', async () => {
    const key = sampleSshKey();
    const before = await store.events.latest();
    await store.sshKeys.insert(key);
    await store.sshKeys.remove(key.id, at(5));
    await store.sshKeys.remove(key.id, at(6));
    expect(await store.sshKeys.find('default', key.id)).toBeNull();
    const { events } = await store.events.after(before, 9);
    const subject = { kind: 'ssh_key', id: key.id };
    expect(events).toMatchObject([
      { type: 'ssh_key.created', tenant: 'default', subject, data: { fingerprint: key.fingerprint } },
      { type: 'ssh_key.deleted', tenant: 'default', subject, at: at(5) },
    ]);
  });
}

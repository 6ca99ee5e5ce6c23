import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Store } from '../core/ports/store.ts';
import { InvariantError } from '../lib/invariant.ts';
import type { OpenStore } from './store.contract.ts';
import { at, sampleTemplate } from './testing/samples.ts';

export function templatesContract(open: OpenStore): void {
  let store: Store;
  beforeEach(async () => {
    store = await open();
  });
  afterEach(() => store.close());

  const namesOf = async (tenant: string, page = { limit: 99, offset: 0 }) => {
    const { templates, total } = await store.templates.list({ tenant, ...page });
    return { names: templates.map(({ name }) => name), total };
  };

  describe('insert and find', () => {
    it('keep all fields, also a NUL and a text that is no ASCII', async () => {
      const bare = sampleTemplate({ userData: null, diskMib: null, description: '' });
      const full = sampleTemplate({
        description: 'ünï\0code',
        userData: '#cloud-config\nruncmd: ["a\0b"]\n',
      });
      await store.templates.insert(bare);
      await store.templates.insert(full);
      expect(await store.templates.find('default', bare.id)).toEqual(bare);
      expect(await store.templates.find('default', full.name)).toEqual(full);
      expect(await store.templates.find('default', 'nobody')).toBeNull();
      expect(await store.templates.find('default', 'no\0body')).toBeNull();
    });

    it('do not find another tenant’s', async () => {
      const template = sampleTemplate();
      await store.templates.insert(template);
      expect(await store.templates.find('other', template.id)).toBeNull();
      expect(await store.templates.find('other', template.name)).toBeNull();
    });

    it('refuse a name that the tenant has, and take it from another one', async () => {
      await store.templates.insert(sampleTemplate({ name: 'web' }));
      await expect(store.templates.insert(sampleTemplate({ name: 'web' }))).rejects.toMatchObject({
        code: 'conflict',
        message: "Template with name 'web' already exists",
      });
      await store.templates.insert(sampleTemplate({ name: 'web', tenant: 'other' }));
      expect(await namesOf('default')).toEqual({ names: ['web'], total: 1 });
    });

    it('raise an InvariantError for a malformed template', async () => {
      await expect(store.templates.insert(sampleTemplate({ vcpuCount: 0 }))).rejects.toThrow(InvariantError);
      expect(await store.templates.count('default')).toBe(0);
    });
  });

  it('lists a tenant’s, newest first and by pages', async () => {
    await store.templates.insert(sampleTemplate({ id: 'a', name: 'one', createdAt: at(1) }));
    await store.templates.insert(sampleTemplate({ id: 'c', name: 'three', createdAt: at(2) }));
    await store.templates.insert(sampleTemplate({ id: 'b', name: 'two', createdAt: at(2) }));
    await store.templates.insert(sampleTemplate({ id: 'd', name: 'four', tenant: 'other' }));
    expect(await namesOf('default')).toEqual({ names: ['three', 'two', 'one'], total: 3 });
    expect(await namesOf('default', { limit: 1, offset: 1 })).toEqual({ names: ['two'], total: 3 });
    expect(await store.templates.count('other')).toBe(1);
    await expect(namesOf('default', { limit: -1, offset: 0 })).rejects.toThrow(InvariantError);
  });

  it('removes once; both changes are events', async () => {
    const template = sampleTemplate();
    const before = await store.events.latest();
    await store.templates.insert(template);
    await store.templates.remove(template.id, at(5));
    await store.templates.remove(template.id, at(6));
    expect(await store.templates.find('default', template.id)).toBeNull();
    const { events } = await store.events.after(before, 9);
    const subject = { kind: 'template', id: template.id };
    expect(events).toMatchObject([
      { type: 'template.created', tenant: 'default', subject, data: { name: template.name } },
      { type: 'template.deleted', tenant: 'default', subject, at: at(5) },
    ]);
  });
}

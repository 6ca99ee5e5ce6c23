/** Templates in the real core and store, with fakes of the other ports. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';
import type { NewTemplate } from './service.ts';

let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
});
afterEach(() => fake.close());

const asked: NewTemplate = { name: 'web', image: 'busybox', vcpuCount: 2, memoryMib: 256 };
const userData = '#cloud-config\nruncmd: [true]\n';
const create = (changes: Partial<NewTemplate> = {}) =>
  fake.templates.create('default', { ...asked, ...changes });

describe('create', () => {
  it('keeps what was asked for; it is found by id and by name, and only in its tenant', async () => {
    const made = await create({ description: 'for the web', diskMib: 2048, userData });
    expect(made).toMatchObject({ ...asked, description: 'for the web', diskMib: 2048, userData });
    expect(await fake.templates.get('default', made.id)).toEqual(made);
    expect(await fake.templates.get('default', 'web')).toEqual(made);
    await expect(fake.templates.get('other', made.id)).rejects.toMatchObject({
      code: 'not_found',
      message: `Template with id '${made.id}' not found`,
    });
    expect(await fake.templates.list('other', { limit: 9, offset: 0 })).toEqual({ templates: [], total: 0 });
  });

  it('of ten with one name one wins', async () => {
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => create()));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const refused = results.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []));
    expect(new Set(refused)).toEqual(new Set(['conflict']));
  });

  it.each<[string, Partial<NewTemplate>, object]>([
    ['a name that looks like an id', { name: 'abcdefghijkl' }, { code: 'invalid' }],
    ['an image that is not there', { image: 'nothing' }, { code: 'not_found' }],
    ['no vCPU', { vcpuCount: 0 }, { code: 'invalid', message: expect.stringMatching(/vCPUs must be/) }],
    ['half a MiB', { memoryMib: 0.5 }, { code: 'invalid', message: expect.stringMatching(/memory in MiB/) }],
    [
      'less memory than its image needs',
      { memoryMib: 63 },
      { code: 'invalid', message: expect.stringMatching(/needs at least 64 MiB of memory/) },
    ],
    [
      'a smaller disk than its image needs',
      { diskMib: 15 },
      { code: 'invalid', message: expect.stringMatching(/needs a disk of at least 16 MiB/) },
    ],
    ['a disk without bounds', { diskMib: 1e15 }, { code: 'invalid', message: expect.stringMatching(/disk/) }],
    [
      'user data that no guest can carry out',
      { userData: '#cloud-config\nbootcmd: [x]\n' },
      { code: 'invalid', message: expect.stringMatching(/bootcmd/) },
    ],
    ['an endless description', { description: 'x'.repeat(1025) }, { code: 'invalid' }],
  ])('refuses %s', async (_, changes, error) => {
    await expect(create(changes)).rejects.toMatchObject(error);
    expect((await fake.templates.list('default', { limit: 9, offset: 0 })).total).toBe(0);
  });
});

describe('a machine', () => {
  it('takes from its template what its request does not say, and keeps its id', async () => {
    const { id } = await create({ diskMib: 2048 });
    const machine = await fake.machines.create('default', { name: 'one', template: 'web' });
    expect(machine.spec).toMatchObject({
      ...{ image: 'busybox', vcpuCount: 2, memoryMib: 256, diskMib: 2048, template: id },
    });
    const own = { image: 'debian-12', vcpuCount: 1, memoryMib: 512, diskMib: 4096 };
    const other = await fake.machines.create('default', { name: 'two', template: id, ...own });
    expect(other.spec).toMatchObject({ ...own, template: id });
  });

  it('gets the defaults without a template', async () => {
    const { spec } = await fake.machines.create('default', { name: 'one' });
    expect(spec).toMatchObject({ image: 'debian-12', vcpuCount: 1, memoryMib: 512, template: null });
  });

  it('cannot be made from another tenant’s template', async () => {
    await create();
    await expect(fake.machines.create('other', { name: 'one', template: 'web' })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('stays as it is when its template is deleted', async () => {
    await create();
    const { id, spec } = await fake.machines.create('default', { name: 'one', template: 'web' });
    await fake.templates.delete('default', 'web');
    await expect(fake.templates.delete('default', 'web')).rejects.toMatchObject({ code: 'not_found' });
    expect((await fake.machines.get('default', id)).spec).toEqual(spec);
  });
});

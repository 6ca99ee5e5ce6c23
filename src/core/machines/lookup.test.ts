/** What a text may name: a bare id, an id with a dialect’s prefix, or a name. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeFlotilla, startFake } from '../../../test/support/fake.ts';

let fake: FakeFlotilla;
beforeEach(async () => {
  fake = await startFake();
});
afterEach(() => fake.close());

const make = (name: string) => fake.machines.create('default', { name, vcpuCount: 1, memoryMib: 128 });

test('a machine is found by its id with any dialect’s prefix, and by its name', async () => {
  const { id } = await make('web');
  for (const text of [id, `vm_${id}`, `vm-${id}`, 'web'])
    expect((await fake.machines.get('default', text)).id).toBe(id);
  for (const text of [`VM_${id}`, `tpl_${id}`, `vm_${id}x`, `vm_${id.slice(1)}`, 'vm_web'])
    await expect(fake.machines.get('default', text)).rejects.toMatchObject({ code: 'not_found' });
  await expect(fake.machines.get('other', `vm_${id}`)).rejects.toMatchObject({ code: 'not_found' });
});

test('no machine can be called like the id of another, which a repeated delete would end', async () => {
  const { id } = await make('web');
  await fake.machines.delete('default', `vm_${id}`, { force: false });
  for (const name of [id, `vm-${id}`, `vm_${id}`])
    await expect(make(name)).rejects.toMatchObject({ code: 'invalid' });
  for (const name of [`vm-${id}x`, `vm.${id}`, 'vm-web']) expect((await make(name)).spec.name).toBe(name);
});

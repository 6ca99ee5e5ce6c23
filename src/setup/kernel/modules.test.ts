import { describe, expect, it } from 'vitest';
import { makeModule } from '../testing.ts';
import { isModuleFile, moduleName, parseModinfo } from './modinfo.ts';
import { type ModuleSource, parseBuiltins, planModules } from './modules.ts';

function source(
  modules: Readonly<Record<string, readonly string[]>>,
  builtins: readonly string[] = [],
): ModuleSource {
  return {
    isBuiltin: (name) => builtins.includes(name),
    depends: async (name) => modules[name] ?? null,
  };
}

const wishes = { required: ['blk'], optional: ['net'], fallback: ['pci'] };

describe('planModules', () => {
  it('puts each module after its dependencies, once', async () => {
    const modules = {
      blk: ['virtio', 'ring'],
      net: ['failover', 'virtio'],
      virtio: ['ring'],
      ring: [],
      failover: [],
    };
    const plan = await planModules(source(modules), wishes);
    expect(plan.first).toEqual(['ring', 'virtio', 'blk', 'failover', 'net']);
  });

  it('omits built-in modules and their dependencies', async () => {
    const plan = await planModules(source({ net: ['virtio'] }, ['blk', 'virtio']), wishes);
    expect(plan).toEqual({ first: ['net'], fallback: [], absent: ['pci'] });
  });

  it('keeps the fallback separate from the first list', async () => {
    const modules = { blk: ['ring'], pci: ['ring', 'modern'], ring: [], modern: [] };
    const plan = await planModules(source(modules), wishes);
    expect(plan).toEqual({ first: ['ring', 'blk'], fallback: ['modern', 'pci'], absent: ['net'] });
  });

  it('refuses a kernel without a required module or without a dependency', async () => {
    await expect(planModules(source({}), wishes)).rejects.toMatchObject({ code: 'unsupported' });
    await expect(planModules(source({ blk: ['gone'] }), wishes)).rejects.toThrow('gone, which blk needs');
  });

  it('terminates for modules that depend on each other', async () => {
    const plan = await planModules(source({ blk: ['ring'], ring: ['blk'] }), {
      ...wishes,
      optional: [],
      fallback: [],
    });
    expect(plan.first).toEqual(['ring', 'blk']);
  });
});

describe('parseModinfo', () => {
  it('reads dependencies in the kernel spelling', () => {
    const module = makeModule(['license=GPL', 'depends=virtio-ring,failover', 'name=virtio_net']);
    expect(parseModinfo(module).depends).toEqual(['virtio_ring', 'failover']);
  });

  it('reads an empty list and a missing one as none', () => {
    expect(parseModinfo(makeModule(['depends='])).depends).toEqual([]);
    expect(parseModinfo(makeModule(['license=GPL'])).depends).toEqual([]);
  });

  it.each([
    ['too short', Buffer.alloc(10)],
    ['not ELF', Buffer.alloc(200)],
    ['without the section', makeModule(['depends='], '.other')],
    ['cut off', makeModule(['depends=']).subarray(0, -64)],
    ['nothing but information', makeModule([`depends=${'x'.repeat(2 ** 20)}`])],
  ])('refuses a file that is %s', (_, file) => {
    expect(() => parseModinfo(file)).toThrow('not a kernel module');
  });
});

describe('names', () => {
  it('recognises files that a guest can request', () => {
    const names = ['ext4.ko', 'a-b.ko.xz', `${'x'.repeat(56)}.ko`, 'a b.ko', 'modules.dep', 'x.ko.lz4'];
    expect(names.filter(isModuleFile)).toEqual(['ext4.ko', 'a-b.ko.xz']);
  });

  it('turns file names into module names', () => {
    expect(['virtio-rng.ko', 'ext4.ko.xz', 'a-b.ko.zst'].map(moduleName)).toEqual([
      'virtio_rng',
      'ext4',
      'a_b',
    ]);
  });

  it('reads modules.builtin', () => {
    const names = parseBuiltins('kernel/fs/ext4/ext4.ko\nkernel/crypto/crc32c-intel.ko\n');
    expect([...names]).toEqual(['ext4', 'crc32c_intel']);
  });
});

import { describe, expect, it } from 'vitest';
import { findHierarchies, limitFiles, vmmLimits } from './cgroup.ts';

const v1 = [
  'tmpfs /sys/fs/cgroup tmpfs rw 0 0',
  'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0',
  'cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0',
  'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0',
].join('\n');

describe('findHierarchies', () => {
  it('finds controllers of version 1 and those the unified hierarchy has beside them', () => {
    const unified = new Map([['/sys/fs/cgroup/unified', ['pids', 'io']]]);
    expect(Object.fromEntries(findHierarchies(v1, unified))).toEqual({
      cpu: { version: 1, path: '/sys/fs/cgroup/cpu,cpuacct' },
      memory: { version: 1, path: '/sys/fs/cgroup/memory' },
      pids: { version: 2, path: '/sys/fs/cgroup/unified' },
    });
  });

  it('finds all in the unified hierarchy of version 2', () => {
    const unified = new Map([['/sys/fs/cgroup', ['cpu', 'memory', 'pids']]]);
    const found = findHierarchies('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0', unified);
    expect([...found.values()].every(({ version }) => version === 2)).toBe(true);
    expect(found.size).toBe(3);
  });

  it('takes no other mount for a controller', () => {
    expect(findHierarchies('none /mnt/memory tmpfs rw,memory 0 0', new Map()).size).toBe(0);
  });
});

it('writes a quota of whole processors, and a period before it', () => {
  const limits = vmmLimits(2, 256);
  expect(limitFiles('cpu', 1, limits)).toEqual([
    ['cpu.cfs_period_us', '100000'],
    ['cpu.cfs_quota_us', '200000'],
  ]);
  expect(limitFiles('cpu', 2, limits)).toEqual([['cpu.max', '200000 100000']]);
  expect(limitFiles('memory', 1, limits)).toEqual([['memory.limit_in_bytes', `${448 * 1024 * 1024}`]]);
  expect(limitFiles('memory', 2, limits)).toEqual([['memory.max', `${448 * 1024 * 1024}`]]);
  expect(limitFiles('pids', 2, limits)).toEqual([['pids.max', '98']]);
});

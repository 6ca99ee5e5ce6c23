import { describe, expect, it } from 'vitest';
import { limitsOfSize } from '../../core/ports/engine.ts';
import { findHierarchies, limitFiles, vmmLimits } from './cgroup.ts';

const v1 = [
  'tmpfs /sys/fs/cgroup tmpfs rw 0 0',
  'cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0',
  'cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0',
  'cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0',
].join('\n');

const spec = { vcpuCount: 2, memoryMib: 256, disks: [], limits: limitsOfSize };

describe('findHierarchies', () => {
  it('finds controllers of version 1 and those of the unified hierarchy beside them', () => {
    const unified = new Map([['/sys/fs/cgroup/unified', ['pids', 'io']]]);
    expect(Object.fromEntries(findHierarchies(v1, unified))).toEqual({
      cpu: { version: 1, path: '/sys/fs/cgroup/cpu,cpuacct' },
      memory: { version: 1, path: '/sys/fs/cgroup/memory' },
      pids: { version: 2, path: '/sys/fs/cgroup/unified' },
      io: { version: 2, path: '/sys/fs/cgroup/unified' },
    });
  });

  it('finds all in the unified hierarchy of version 2', () => {
    const unified = new Map([['/sys/fs/cgroup', ['cpu', 'memory', 'pids']]]);
    const found = findHierarchies('cgroup2 /sys/fs/cgroup cgroup2 rw 0 0', unified);
    expect([...found.values()].every(({ version }) => version === 2)).toBe(true);
    expect(found.size).toBe(3);
  });

  it('does not mistake another mount for a controller', () => {
    expect(findHierarchies('none /mnt/memory tmpfs rw,memory 0 0', new Map()).size).toBe(0);
  });
});

it('writes a quota of whole processors, after its period', () => {
  const limits = vmmLimits(spec);
  expect(limitFiles('cpu', 1, limits)).toEqual([
    ['cpu.cfs_period_us', '100000'],
    ['cpu.cfs_quota_us', '200000'],
  ]);
  expect(limitFiles('cpu', 2, limits)).toEqual([['cpu.max', '200000 100000']]);
  expect(limitFiles('memory', 1, limits)).toEqual([['memory.limit_in_bytes', `${448 * 1024 * 1024}`]]);
  expect(limitFiles('memory', 2, limits)).toEqual([['memory.max', `${448 * 1024 * 1024}`]]);
  expect(limitFiles('pids', 2, limits)).toEqual([['pids.max', '98']]);
});

it('honours the limits that a launch asks for', () => {
  const io = { readBytes: 1000, writeBytes: null, readOperations: null, writeOperations: 20 };
  const disks = [{ path: '/disk', format: 'raw' as const, readOnly: false, bases: [] }];
  const limits = vmmLimits({ ...spec, disks, limits: { cpuCount: 0.5, memoryMib: 100, io } });
  expect(limitFiles('cpu', 2, limits)).toEqual([['cpu.max', '50000 100000']]);
  expect(limitFiles('memory', 2, limits)).toEqual([['memory.max', `${100 * 1024 * 1024}`]]);
  expect(limitFiles('io', 2, limits, '8:0')).toEqual([['io.max', '8:0 rbps=1000 wiops=20']]);
  expect(limitFiles('io', 1, limits, '8:0')).toEqual([
    ['blkio.throttle.read_bps_device', '8:0 1000'],
    ['blkio.throttle.write_iops_device', '8:0 20'],
  ]);
  expect(limitFiles('io', 2, vmmLimits(spec), '8:0')).toEqual([]);
});

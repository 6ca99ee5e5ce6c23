import { spawn } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { readProcessStat } from '../../lib/procfs.ts';
import { StateLayout } from '../../storage/layout.ts';
import { findVmms, incarnationOf, killProcess, waitGone } from './processes.ts';

const layout = new StateLayout('/var/lib/flotilla,test');
const socket = 'socket,id=qmp,path=/var/lib/flotilla,,test/run/abc/qmp.sock,server=on';
const pids: number[] = [];

/** A process with a VMM's command line that does nothing. */
function pretend(...args: readonly string[]): number {
  const child = spawn('/bin/sh', ['-c', 'read line', 'sh', ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('not spawned');
  pids.push(pid);
  return pid;
}

afterEach(() => {
  for (const pid of pids.splice(0)) {
    const stat = readProcessStat(pid);
    if (stat !== null) killProcess(stat);
  }
});

describe('incarnationOf', () => {
  it('recognises a VMM by its name and run directory, wrapped or not', () => {
    expect(incarnationOf(['qemu', '-name', 'flotilla-abc', '-chardev', socket], layout)).toBe('abc');
    expect(incarnationOf(['prlimit', '--', 'qemu', '-name', 'flotilla-abc', socket], layout)).toBe('abc');
  });

  it.each([
    ['another state directory', ['qemu', '-name', 'flotilla-abc', socket.replace('var', 'srv')]],
    ['another incarnation', ['qemu', '-name', 'flotilla-abd', socket]],
    ['a program that searches for it', ['grep', 'flotilla-abc', '-r', socket]],
    ['no name at all', ['flotilla-abc', socket]],
    ['an incarnation that is none', ['qemu', '-name', 'flotilla-../x', socket]],
  ])('does not mistake anything else for one: %s', (_, argv) => {
    expect(incarnationOf(argv, layout)).toBeNull();
  });
});

it('finds running VMMs, kills exactly those, and detects their end', async () => {
  const pid = pretend('-name', 'flotilla-abc', socket);
  const other = pretend('-name', 'flotilla-abc', 'path=/elsewhere/qmp.sock,');
  const found = await findVmms(layout, 'abc');
  expect(found.map((vmm) => vmm.pid)).toEqual([pid]);
  expect(await findVmms(layout, 'abd')).toEqual([]);
  const [vmm] = found;
  if (vmm === undefined) throw new Error('not found');
  expect(await waitGone(vmm, 0)).toBe(false);
  killProcess({ ...vmm, startTime: '1' });
  expect(await waitGone(vmm, 0)).toBe(false);
  killProcess(vmm);
  expect(await waitGone(vmm, 10_000)).toBe(true);
  killProcess(vmm);
  expect(await findVmms(layout)).toEqual([]);
  expect(readProcessStat(other)).not.toBeNull();
});

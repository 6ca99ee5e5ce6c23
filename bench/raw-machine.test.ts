import { expect, it } from 'vitest';
import { rawArguments } from './raw-machine.ts';

it('changes only the names and paths of the machine, and makes the tap itself', () => {
  const blueprint = {
    program: '/usr/bin/qemu',
    args: ['-name', 'flotilla-inc', '-kernel', '/s/boot/kernel', 'path=/s/run/inc/qmp.sock,server=on'],
    incarnation: 'inc',
    netns: null,
    runDir: '/s/run/inc',
    diskPath: '/s/disks/m1/root.qcow2',
    baseImagePath: '/s/images/blobs/a',
    diskBytes: 1,
  };
  const tap = 'tap,id=net0,fd=4,vhost=off';
  const args = [...blueprint.args, 'file=/s/disks/m1/root.qcow2,if=none', tap, 'quiet'];
  expect(rawArguments({ ...blueprint, args }, 'raw', '/r/raw')).toEqual([
    '-name',
    'flotilla-raw',
    '-kernel',
    '/s/boot/kernel',
    'path=/r/raw/qmp.sock,server=on',
    'file=/r/raw/root.qcow2,if=none',
    'tap,id=net0,ifname=raw%d,script=no,downscript=no,vhost=off',
    'quiet',
  ]);
});

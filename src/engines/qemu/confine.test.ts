import { expect, it } from 'vitest';
import { confinedCommand, fileBytesMax } from './confine.ts';

const programs = { prlimit: '/usr/bin/prlimit', setpriv: '/usr/bin/setpriv', fileBytesMax: 4096 };

it('drops user, groups and all capabilities if allowed', () => {
  const command = confinedCommand(['/usr/bin/qemu', '-x'], { ...programs, uid: 600_001, groups: [] });
  expect(command.join(' ')).toBe(
    '/usr/bin/prlimit --fsize=4096 --core=0 -- /usr/bin/setpriv --reuid=600001 --regid=600001 --clear-groups ' +
      '--bounding-set=-all --no-new-privs --inh-caps=-all -- /usr/bin/qemu -x',
  );
});

it('keeps only the group of /dev/kvm', () => {
  const command = confinedCommand(['/q'], { ...programs, uid: 600_001, groups: [108] });
  expect(command).toContain('--groups=108');
  expect(command).not.toContain('--clear-groups');
});

it('keeps the user if it is not allowed to change it', () => {
  const command = confinedCommand(['/q'], { ...programs, uid: null, groups: [] }).join(' ');
  expect(command).toBe(
    '/usr/bin/prlimit --fsize=4096 --core=0 -- /usr/bin/setpriv --no-new-privs --inh-caps=-all -- /q',
  );
});

it('leaves room for the tables of a full disk image', () => {
  expect(fileBytesMax(1024)).toBeGreaterThan(1024 * 1024 * 1024 * 1.01);
});

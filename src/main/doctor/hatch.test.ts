import { expect, test } from 'vitest';
import { aboveHatchVariables, honouredHatchVariables } from '../config.ts';
import { checkHatchVariables } from './hatch.ts';

test('nothing is said without any', () => {
  expect(checkHatchVariables({ PORT: '3000', HATCH_HTTP_ADDR: '' })).toEqual([]);
});

test('those that are honoured are listed, and each other one with the reason', () => {
  const names = ['HATCH_MAX_VMS_PER_USER', 'HATCH_DEFAULT_VCPU', 'HATCH_SSH_ALLOWED_CIDR', 'HATCH_TYPO'];
  const findings = checkHatchVariables(Object.fromEntries(names.map((name) => [name, '1'])));
  expect(findings.map(({ level, subject, message }) => [level, subject, message])).toEqual([
    ['ok', 'HATCH_*', 'Honoured: HATCH_DEFAULT_VCPU, HATCH_MAX_VMS_PER_USER'],
    [
      'warn',
      'HATCH_SSH_ALLOWED_CIDR',
      'Ignored: FLOTILLA_SSH_LISTEN says where SSH is accepted; HATCH_SSH_PORT_MIN and HATCH_SSH_PORT_MAX are honoured',
    ],
    ['warn', 'HATCH_TYPO', 'Ignored: no such variable is known'],
  ]);
});

test('one that another variable overrides is ignored', () => {
  const findings = checkHatchVariables({
    ...{ HATCH_HTTP_ADDR: ':8080', FLOTILLA_LISTEN: '127.0.0.1', HATCH_MAX_VMS_PER_USER: '5' },
    ...{ HATCH_MAX_OVERLAY_SIZE_MIB: '2048', HATCH_MAX_ROOTFS_SIZE_MIB: '1024' },
  });
  expect(findings.map(({ subject, message }) => [subject, message])).toEqual([
    ['HATCH_*', 'Honoured: HATCH_MAX_OVERLAY_SIZE_MIB, HATCH_MAX_VMS_PER_USER'],
    ['HATCH_HTTP_ADDR', 'Ignored: FLOTILLA_LISTEN takes precedence'],
    ['HATCH_MAX_ROOTFS_SIZE_MIB', 'Ignored: HATCH_MAX_OVERLAY_SIZE_MIB takes precedence'],
  ]);
});

test('every variable that another overrides is one that is honoured', () => {
  for (const name of Object.keys(aboveHatchVariables)) expect(honouredHatchVariables).toContain(name);
});

import { describe, expect, test } from 'vitest';
import { hostTarget, pathTarget } from './target.ts';

const rules = { prefix: '/proxy', suffixes: ['.flotilla.example', '.hatch.local'] };
const id = 'k3v9x2m1q8zt';

describe('a host', () => {
  test.each([
    [`${id}-8080.flotilla.example`, { machineId: id, port: 8080 }],
    [`${id.toUpperCase()}-8080.Flotilla.Example:4000`, { machineId: id, port: 8080 }],
    [`${id}-80.hatch.local.`, { machineId: id, port: 80 }],
  ])('%s names a port of a machine', (host, machine) => {
    expect(hostTarget(host, rules)).toEqual({ subdomain: host.toLowerCase().split('.')[0], machine });
  });

  test.each([
    'shop.flotilla.example',
    `${id}-0.hatch.local`,
    `${id}-65536.hatch.local`,
    `x${id}-80.hatch.local`,
  ])('%s names a subdomain only', (host) => expect(hostTarget(host, rules)).toMatchObject({ machine: null }));

  test.each([
    'flotilla.example',
    '.flotilla.example',
    'a.b.flotilla.example',
    'shop.example',
    '127.0.0.1:4000',
    '',
  ])('%s names nothing', (host) => expect(hostTarget(host, rules)).toBeNull());
});

describe('a path', () => {
  test.each([
    [`/proxy/${id}/8080/a/b?c=d`, 8080, '/a/b?c=d'],
    [`/proxy/${id}/80`, 80, '/'],
    [`/proxy/${id}/80/`, 80, '/'],
    [`/proxy/${id}/80?q=/x`, 80, '/?q=/x'],
    [`/proxy/vm_${id}/80//double`, 80, '//double'],
  ])('%s is passed on without its prefix', (path, port, rest) => {
    expect(pathTarget(path, rules)).toEqual({ machineId: id, port, path: rest });
  });

  test.each([
    '/',
    `/proxy/${id}`,
    `/proxy/${id}/x/`,
    '/proxy/web/80/',
    `/proxyx/${id}/80/`,
    `/proxy/${id}/080000/`,
  ])('%s is none of the proxy’s', (path) => expect(pathTarget(path, rules)).toBeNull());
});

import { hostname } from 'node:os';
import { expect, test } from 'vitest';
import { hostNames } from './host-names.ts';

const on = (...hosts: string[]) => hostNames({ listen: hosts.map((host) => ({ host, port: 1 })) });

test('on loopback only local names and the addresses listened on', () => {
  const isHostName = on('127.0.0.2', '::1');
  for (const name of ['localhost', '127.0.0.1', '127.0.0.2', '[::1]'])
    expect(isHostName(name), name).toBe(true);
  for (const name of ['evil.example', '127.0.0.3', '192.0.2.1', hostname(), ''])
    expect(isHostName(name), name).toBe(false);
});

test('on other addresses any address, but no foreign name', () => {
  const isHostName = on('0.0.0.0');
  for (const name of ['localhost', '192.0.2.1', '[2001:db8::1]', hostname().toLowerCase()])
    expect(isHostName(name), name).toBe(true);
  for (const name of ['evil.example', '192.0.2.1.evil.example', '[evil]', ''])
    expect(isHostName(name), name).toBe(false);
});

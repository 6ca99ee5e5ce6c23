import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { sampleMachine } from '../../store/testing/samples.ts';
import { checkSshPorts, readListeners, socketsOf } from './ssh-ports.ts';

const machine = (name: string, sshPort: number | null) => {
  const sample = sampleMachine();
  return { ...sample, spec: { ...sample.spec, name, sshPort } };
};
const machines = [machine('web', 16_000), machine('none', null)];
const check = (all: readonly number[], daemon: readonly number[] | null, hasGateway = true) =>
  checkSshPorts(
    machines,
    { all: new Set(all), daemon: daemon === null ? null : new Set(daemon) },
    hasGateway,
  ).map(({ level, subject, message }) => `${level} ${subject}: ${message}`);

test('a port that another program has is named, and one of the daemon is fine', () => {
  expect(check([16_000, 2222], [16_000, 2222])).toEqual([]);
  expect(check([16_000, 2222], [2222])).toEqual([
    'warn machine web: its SSH port 16000 is closed: another program of the host listens there',
  ]);
  expect(check([2222], [2222])).toEqual(['warn machine web: its SSH port 16000 is closed']);
  expect(check([], [], false)).toEqual([
    'warn machine web: its SSH port 16000 is closed: FLOTILLA_SSH_PORT is 0',
  ]);
});

test('without the daemon’s sockets nothing is said of ports', () => {
  expect([...check([16_000], null), ...check([], null)]).toEqual([]);
});

test('finds the ports of a process among those of all', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const ours = await readListeners(process.pid);
  const others = await readListeners(process.ppid);
  expect([ours.all.has(port), ours.daemon?.has(port)]).toEqual([true, true]);
  expect(others.daemon?.has(port) ?? false).toBe(false);
  expect((await readListeners(null)).daemon).toBeNull();
  server.close();
  await once(server, 'close');
  expect((await readListeners(process.pid)).daemon?.has(port)).toBe(false);
});

test('a connection is no socket that listens', () => {
  const text = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   1: 0100007F:0016 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0`;
  expect(socketsOf(text)).toEqual([{ port: 3000, inode: '4711' }]);
});

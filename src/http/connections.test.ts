/** Which clients get a place on the server, and which lose it when all are taken. */
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Connections } from './connections.ts';

const limits = { strangers: 6, strangersPerAddress: 2, perTenant: 2, tenants: 3 };

function open(connections: Connections, address: string | undefined) {
  const socket = new PassThrough();
  return { socket, connection: connections.open(socket, address) };
}

test('an address that exceeds its share loses its oldest connection', () => {
  const connections = new Connections(limits);
  const three = [1, 2, 3].map(() => open(connections, '10.0.0.1'));
  expect(three.map(({ socket }) => socket.destroyed)).toEqual([true, false, false]);
});

test('addresses of one network are one client', () => {
  const connections = new Connections(limits);
  const three = ['2001:db8::1', '2001:db8::2', '2001:db8:0:0:ff::3'].map((each) => open(connections, each));
  expect(three.map(({ socket }) => socket.destroyed)).toEqual([true, false, false]);
  expect(open(connections, '2001:db8:0:1::1').socket.destroyed).toBe(false);
});

test('when all places are taken, a new connection evicts one of the address with the most', () => {
  const connections = new Connections(limits);
  const quiet = open(connections, '10.0.0.1');
  const flood = [1, 2, 3, 4, 5, 6, 7].map(() => open(connections, '127.0.0.1'));
  expect(quiet.socket.destroyed).toBe(false);
  expect(flood.map(({ socket }) => socket.destroyed)).toEqual([
    true,
    true,
    false,
    false,
    false,
    false,
    false,
  ]);
});

test('a connection with a valid key keeps its place', () => {
  const connections = new Connections(limits);
  const tenant = open(connections, '127.0.0.1');
  const operator = open(connections, '127.0.0.1');
  tenant.connection.admit('acme');
  operator.connection.admit(null);
  for (let i = 0; i < 20; i++) open(connections, '127.0.0.1');
  expect([tenant.socket.destroyed, operator.socket.destroyed]).toEqual([false, false]);
  expect(connections.strangers).toBe(limits.strangers);
});

test('each tenant and all tenants together have a limit, and the operator always gets in', async () => {
  const connections = new Connections(limits);
  const admit = (holder: string | null) => {
    const opened = open(connections, '127.0.0.1');
    opened.connection.admit(holder);
    return opened;
  };
  const first = admit('a');
  admit('a');
  const refused = expect.objectContaining({ code: 'exhausted' });
  expect(() => admit('a')).toThrow(refused);
  admit('b');
  expect(() => admit('c')).toThrow(refused);
  admit(null);
  first.socket.destroy();
  await new Promise((resolve) => first.socket.once('close', resolve));
  admit('c');
});

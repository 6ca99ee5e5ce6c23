/** Who gets a place on the server, and whose place is taken when there is none. */
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { Connections } from './connections.ts';

const limits = { strangers: 6, strangersPerAddress: 2, perTenant: 2, tenants: 3 };

function open(connections: Connections, address: string | undefined) {
  const socket = new PassThrough();
  return { socket, connection: connections.open(socket, address) };
}

test('one address holds no more than its share: the oldest goes', () => {
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

test('when all places are taken, a newcomer takes one of whoever holds the most', () => {
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

test('who has shown a key keeps the place', () => {
  const connections = new Connections(limits);
  const tenant = open(connections, '127.0.0.1');
  const operator = open(connections, '127.0.0.1');
  tenant.connection.admit('acme');
  operator.connection.admit(null);
  for (let i = 0; i < 20; i++) open(connections, '127.0.0.1');
  expect([tenant.socket.destroyed, operator.socket.destroyed]).toEqual([false, false]);
  expect(connections.strangers).toBe(limits.strangers);
});

test('a tenant has its share, all tenants theirs, and the operator gets in beside them', async () => {
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

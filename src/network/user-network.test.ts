/** Published ports of a host without a bridge: real sockets on both sides of the daemon. */

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { GuestDialler, PublishedPort } from '../core/ports/network.ts';
import { freePort } from '../lib/free-port.ts';
import { silentLog } from '../lib/log.ts';
import { examineNetwork } from './doctor.ts';
import { makeAttachment } from './lab/scene.ts';
import { readNetworkSettings } from './settings.ts';
import { UserNetwork } from './user-network.ts';

const signal = new AbortController().signal;
const ipv4 = { family: 4, first: 0x0a4d0000n, last: 0x0a4dffffn, prefix: 16 } as const;
const limits = { connectionsMax: 2, idleMs: 60_000 };

let network: UserNetwork;
const started = (given = limits) =>
  new UserNetwork({ reason: 'not root', ipv4, log: silentLog, limits: given });
beforeEach(() => {
  network = started();
});
afterEach(() => network.close());

/** A program that listens on this host; in these tests it stands for one in the guest. */
async function program(serve: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  onTestFinished(() => void server.close());
  return { server, port: address.port };
}

/** Guests whose every port is the program. */
async function serveGuests(serve: (socket: Socket) => void): Promise<void> {
  const { port } = await program(serve);
  network.connectBy(async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return socket;
  });
}

const tcp = (hostPort: number, more: Partial<PublishedPort> = {}): PublishedPort => ({
  ...{ protocol: 'tcp', bind: '127.0.0.1', guestPort: 80 },
  hostPort,
  ...more,
});

async function published(...ports: readonly PublishedPort[]) {
  const attachment = makeAttachment(1, { ports });
  await network.attach(attachment);
  return attachment;
}

async function dial(port: number, host = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

const refusal = async (port: number) =>
  (await once(connect(port, '127.0.0.1'), 'error'))[0] as NodeJS.ErrnoException;
/** How the host ends a connection to the port. */
const endOf = (port: number) => ended(connect({ port, host: '127.0.0.1', allowHalfOpen: true }));
/** How the host ends the connection. */
async function ended(socket: Socket): Promise<string> {
  socket.resume();
  const error = once(socket, 'error').then(([each]) => (each as NodeJS.ErrnoException).code ?? 'error');
  return Promise.race([error, once(socket, 'end').then(() => 'end')]);
}

describe('a connection to a published port', () => {
  test('carries bytes in both directions, and each side ends its own', async () => {
    await serveGuests(async (socket) => socket.end(`got ${(await buffer(socket)).length}`));
    const port = await freePort();
    await published(tcp(port));
    const socket = await dial(port);
    socket.end(Buffer.alloc(3_000_000));
    expect(String(await buffer(socket))).toBe('got 3000000');
  });

  test('may be ended by the program first, which still reads', async () => {
    const got = Promise.withResolvers<Buffer>();
    await serveGuests(async (socket) => {
      socket.end('bye');
      got.resolve(await buffer(socket));
    });
    const port = await freePort();
    await published(tcp(port));
    const socket = await dial(port);
    expect(String(await buffer(socket))).toBe('bye');
    socket.end('thanks');
    expect(String(await got.promise)).toBe('thanks');
  });

  test('whose client does not read stops the program', async () => {
    let sent = 0;
    const total = 256 << 20;
    const source = new Duplex({
      read() {
        sent += 65_536;
        this.push(sent > total ? null : Buffer.alloc(65_536));
      },
      write: (_chunk, _encoding, done) => done(),
    });
    network.connectBy(async () => source);
    const port = await freePort();
    await published(tcp(port));
    const socket = await dial(port);
    socket.pause();
    let before = -1;
    // It has stopped when nothing more is sent.
    await expect
      .poll(() => {
        const isStill = sent > 0 && sent === before;
        before = sent;
        return isStill;
      })
      .toBe(true);
    expect(sent).toBeLessThan(64 << 20);
    socket.destroy();
    await once(source, 'close');
  });

  test('is reset when nothing listens in the guest, or the program breaks it: no half looks whole', async () => {
    const port = await freePort();
    await published(tcp(port));
    network.connectBy(async () => {
      throw new Error('nothing listens');
    });
    expect(await endOf(port)).toBe('ECONNRESET');
    network.connectBy(async () => {
      const broken = new Duplex({
        read() {
          this.push('half');
          this.destroy(new Error('the link was lost'));
        },
      });
      return broken;
    });
    expect(await endOf(port)).toBe('ECONNRESET');
  });

  test('ends in the guest when its client has gone, also while it is being made', async () => {
    const aborted = Promise.withResolvers<void>();
    const port = await freePort();
    const attachment = await published(tcp(port));
    network.connectBy((_machine, _port, limit) => {
      limit.addEventListener('abort', () => aborted.resolve());
      return new Promise((_, reject) => limit.addEventListener('abort', () => reject(limit.reason)));
    });
    const waiting = await dial(port);
    const isOver = ended(waiting);
    await network.detach(attachment.machineId);
    await aborted.promise;
    expect(await isOver).toBe('ECONNRESET');
    const closed = Promise.withResolvers<void>();
    await serveGuests((socket) => {
      socket.write('hello');
      socket.once('end', () => closed.resolve());
      socket.resume();
    });
    await network.attach(attachment);
    const socket = await dial(port);
    await once(socket, 'data');
    socket.resetAndDestroy();
    await closed.promise;
  });

  test('over which nothing goes is reset after a while', async () => {
    await network.close();
    network = started({ ...limits, idleMs: 20 });
    await serveGuests(() => undefined);
    const port = await freePort();
    await published(tcp(port));
    expect(await endOf(port)).toBe('ECONNRESET');
  });

  test('beyond the limit of a port is refused, and the other ports are not full', async () => {
    await serveGuests((socket) => void socket.write('hello'));
    const [port, other] = [await freePort(), await freePort()];
    await published(tcp(port), tcp(other));
    const open = await Promise.all([dial(port), dial(port)]);
    for (const each of open) await once(each, 'data');
    expect(await endOf(port)).toMatch(/^end$|^ECONNRESET$/);
    await once(await dial(other), 'data');
    open[0]?.resetAndDestroy();
    await expect.poll(async () => once(await dial(port), 'data').then(String, () => null)).toBe('hello');
  });
});

describe('published ports', () => {
  test('are open while the machine has a VMM, also in the next daemon', async () => {
    await serveGuests((socket) => void socket.end('hello'));
    const port = await freePort();
    const attachment = await published(tcp(port));
    expect(String(await buffer(await dial(port)))).toBe('hello');
    await network.detach(attachment.machineId);
    expect(await refusal(port)).toMatchObject({ code: 'ECONNREFUSED' });
    await network.close();
    network = started();
    await serveGuests((socket) => void socket.end('again'));
    await network.restore([attachment]);
    expect(String(await buffer(await dial(port)))).toBe('again');
    await network.restore([]);
    expect(await refusal(port)).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('change one by one: the connections of the others go on', async () => {
    await serveGuests((socket) => void socket.write('hello'));
    const [kept, gone] = [await freePort(), await freePort()];
    const attachment = await published(tcp(kept), tcp(gone));
    const sockets = [await dial(kept), await dial(gone)] as const;
    for (const each of sockets) await once(each, 'data');
    const lost = ended(sockets[1]);
    await network.update({ ...attachment, ports: [tcp(kept)] });
    expect(await lost).toBe('ECONNRESET');
    expect(await refusal(gone)).toMatchObject({ code: 'ECONNREFUSED' });
    sockets[0].end();
    expect(sockets[0].destroyed).toBe(false);
    await network.update({ ...attachment, ports: [tcp(kept), tcp(gone)] });
    await once(await dial(gone), 'data');
  });

  test('lead to their own guest port of their own machine', async () => {
    const asked: unknown[] = [];
    const refusing: GuestDialler = async (machineId, port) => {
      asked.push([machineId, port]);
      throw new Error('enough');
    };
    network.connectBy(refusing);
    const [one, other] = [await freePort(), await freePort()];
    await published(tcp(one, { guestPort: 80 }));
    const second = makeAttachment(2, { ports: [tcp(other, { guestPort: 81 })] });
    await network.attach(second);
    for (const port of [one, other]) expect(await endOf(port)).toBe('ECONNRESET');
    expect(asked).toEqual([
      [makeAttachment(1).machineId, 80],
      [second.machineId, 81],
    ]);
  });

  test('on all addresses are reached by each, and IPv6 is apart', async () => {
    await serveGuests((socket) => void socket.end('hello'));
    const port = await freePort();
    await published(tcp(port, { bind: '0.0.0.0' }), tcp(port, { bind: '::1' }));
    for (const address of ['127.0.0.1', '127.0.0.2', '::1'])
      expect(String(await buffer(await dial(port, address)))).toBe('hello');
  });

  test('that the host refuses are typed errors, and the others are open', async () => {
    const { port: busy } = await program(() => undefined);
    const free = await freePort();
    await serveGuests((socket) => void socket.end('hello'));
    const attachment = makeAttachment(1, { ports: [tcp(busy), tcp(free)] });
    await expect(network.attach(attachment)).rejects.toMatchObject({ code: 'conflict' });
    expect(String(await buffer(await dial(free)))).toBe('hello');
    await expect(network.restore([attachment])).rejects.toMatchObject({ code: 'conflict' });
    const wish = { protocol: 'tcp', bind: '127.0.0.1', hostPort: busy } as const;
    await expect(network.tryPort(wish)).rejects.toMatchObject({
      code: 'conflict',
      message: `a program of the host listens on tcp port ${busy}`,
    });
    for (const hostPort of [null, busy])
      await expect(network.tryPort({ ...wish, bind: '192.0.2.1', hostPort })).rejects.toMatchObject({
        code: 'invalid',
      });
    // A port of a machine is no program's: who has it is recorded.
    await network.tryPort({ ...wish, hostPort: free });
    const { tcp: taken } = await network.busyPorts(signal);
    expect([taken.has(busy), taken.has(free)]).toEqual([true, false]);
  });
});

test('doctor says that the daemon carries connections', async () => {
  const settings = readNetworkSettings({
    ...{ kind: 'user', bridge: 'flotilla0', netns: undefined, cidr: '10.77.0.0/16' },
    ...{ ipv6: undefined, dns: undefined, lanBridges: undefined },
  });
  const question = { settings, owner: '/srv/flotilla', isRoot: true, machineIds: new Set<string>() };
  expect(await examineNetwork(question, signal)).toEqual([
    {
      level: 'fine',
      message: expect.stringContaining('the daemon carries connections to their published TCP ports'),
      hint: null,
    },
  ]);
});

/**
 * A process in a network namespace that tests ask to listen, connect and send. Speaks JSON over Node's IPC; started by
 * `namespaces.ts`, ends with its parent.
 */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { pipeline } from 'node:stream';
import { type DecodedPacket, decode, encode } from 'dns-packet';
import { firstFrame, framed } from '../dns/upstream.ts';

export type Request =
  /** Answers each connection or datagram with the peer's address and what was received. */
  | { readonly kind: 'serve'; readonly protocol: 'tcp' | 'udp'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'ask';
      readonly protocol: 'tcp' | 'udp';
      readonly host: string;
      readonly port: number;
      readonly from: string | null;
      readonly timeoutMs: number;
    }
  /** Asks over and over; answers with the milliseconds of each, as a JSON array. */
  | { readonly kind: 'time'; readonly host: string; readonly port: number; readonly count: number }
  /** Keeps the connection for `say`. */
  | { readonly kind: 'open'; readonly host: string; readonly port: number; readonly timeoutMs: number }
  | { readonly kind: 'say'; readonly connection: number; readonly text: string; readonly timeoutMs: number }
  /** Asks a name server; answers with the code and the addresses, or null. */
  | {
      readonly kind: 'resolve';
      readonly server: string;
      readonly name: string;
      readonly type: 'A' | 'AAAA' | 'TXT';
      readonly isStream: boolean;
      readonly timeoutMs: number;
    }
  /** Joins each connection with one to a unix socket, whose owner may be in another namespace. */
  | { readonly kind: 'relay'; readonly host: string; readonly port: number; readonly path: string }
  /** Sends a datagram every millisecond, whether the interface has a carrier or not, until the probe ends. */
  | { readonly kind: 'flood'; readonly from: string; readonly host: string; readonly port: number }
  /** Sends one datagram from each of as many ports. */
  | { readonly kind: 'crowd'; readonly host: string; readonly port: number; readonly count: number }
  /** Sends datagrams and waits for nothing. */
  | { readonly kind: 'scan'; readonly host: string; readonly ports: readonly number[] };

/** Null: no answer in time, or refused. */
export type Reply =
  | { readonly id: number; readonly text: string | null }
  | { readonly id: number; readonly error: string };

const connections: Socket[] = [];

async function answer(request: Request): Promise<string | null> {
  switch (request.kind) {
    case 'serve':
      return serve(request);
    case 'ask':
      return request.protocol === 'tcp' ? askTcp(request) : askUdp(request);
    case 'time':
      return time(request);
    case 'open': {
      const socket = await opened(request.host, request.port, null, request.timeoutMs);
      return socket === null ? null : String(connections.push(socket) - 1);
    }
    case 'say':
      return say(request);
    case 'resolve':
      return resolve(request);
    case 'relay':
      return relay(request);
    case 'flood':
      return flood(request);
    case 'crowd':
      return crowd(request);
    case 'scan':
      return scan(request);
  }
}

async function serve({ protocol, host, port }: Extract<Request, { kind: 'serve' }>): Promise<string> {
  if (protocol === 'udp') {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (data, peer) => socket.send(`${peer.address} ${data}`, peer.port, peer.address));
    socket.bind(port, host);
    await once(socket, 'listening');
    return 'listening';
  }
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => socket.write(`${socket.remoteAddress} ${data}`));
  });
  server.listen(port, host);
  await once(server, 'listening');
  return 'listening';
}

async function opened(
  host: string,
  port: number,
  from: string | null,
  timeoutMs: number,
): Promise<Socket | null> {
  const socket = connect({ host, port, ...(from === null ? {} : { localAddress: from }) });
  socket.on('error', () => undefined);
  try {
    await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) });
    return socket;
  } catch {
    socket.destroy();
    return null;
  }
}

async function askTcp({
  host,
  port,
  from,
  timeoutMs,
}: Extract<Request, { kind: 'ask' }>): Promise<string | null> {
  const socket = await opened(host, port, from, timeoutMs);
  if (socket === null) return null;
  const text = await exchange(socket, 'hello', timeoutMs);
  socket.destroy();
  return text;
}

async function time({ host, port, count }: Extract<Request, { kind: 'time' }>): Promise<string> {
  const samples: number[] = [];
  for (let done = 0; done < count; done += 1) {
    const begun = performance.now();
    const text = await askTcp({ kind: 'ask', protocol: 'tcp', host, port, from: null, timeoutMs: 10_000 });
    if (text === null) throw new Error(`no answer from ${host}:${port}`);
    samples.push(performance.now() - begun);
  }
  return JSON.stringify(samples);
}

async function exchange(socket: Socket, text: string, timeoutMs: number): Promise<string | null> {
  socket.write(text);
  try {
    const [data] = (await once(socket, 'data', { signal: AbortSignal.timeout(timeoutMs) })) as [Buffer];
    return data.toString();
  } catch {
    return null;
  }
}

async function say({
  connection,
  text,
  timeoutMs,
}: Extract<Request, { kind: 'say' }>): Promise<string | null> {
  const socket = connections[connection];
  if (!socket || socket.destroyed) return null;
  return exchange(socket, text, timeoutMs);
}

async function askUdp({
  host,
  port,
  from,
  timeoutMs,
}: Extract<Request, { kind: 'ask' }>): Promise<string | null> {
  const socket: UdpSocket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  socket.on('error', () => undefined);
  try {
    if (from !== null) {
      socket.bind(0, from);
      await once(socket, 'listening');
    }
    // Connected, so that a refusal by ICMP ends the wait.
    socket.connect(port, host);
    await once(socket, 'connect');
    socket.send('hello');
    const [data] = (await once(socket, 'message', { signal: AbortSignal.timeout(timeoutMs) })) as [Buffer];
    return data.toString();
  } catch {
    return null;
  } finally {
    socket.close();
  }
}

async function relay({ host, port, path }: Extract<Request, { kind: 'relay' }>): Promise<string> {
  const server = createServer((socket) => {
    // Both ends are destroyed when one fails; the other's owner sees it.
    pipeline(socket, connect({ path }), socket, () => undefined);
  });
  server.listen(port, host);
  await once(server, 'listening');
  return 'listening';
}

async function flood({ from, host, port }: Extract<Request, { kind: 'flood' }>): Promise<string> {
  const socket = createSocket('udp4');
  socket.bind(0, from);
  await once(socket, 'listening');
  // Refusals by ICMP, and errors while there is no way out.
  socket.on('error', () => undefined);
  setInterval(() => socket.send('flood', port, host, () => undefined), 1);
  return 'sending';
}

async function crowd({ host, port, count }: Extract<Request, { kind: 'crowd' }>): Promise<string> {
  for (let made = 0; made < count; made += 1) {
    const socket = createSocket('udp4');
    socket.on('error', () => undefined);
    socket.bind(20_000 + made);
    await once(socket, 'listening');
    const sent = Promise.withResolvers<void>();
    socket.send('crowd', port, host, () => sent.resolve());
    await sent.promise;
    socket.close();
  }
  return 'sent';
}

async function resolve(request: Extract<Request, { kind: 'resolve' }>): Promise<string | null> {
  const { server, name, type, isStream, timeoutMs } = request;
  const query = encode({ type: 'query', id: 77, flags: 0x0100, questions: [{ type, name }] });
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const answer = isStream ? await overTcp(server, query, signal) : await overUdp(server, query, signal);
    if (answer.flag_tc) return 'TRUNCATED';
    const data = (answer.answers ?? []).map((record) =>
      'data' in record ? String(record.data) : record.type,
    );
    const code = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'][
      (answer.flags ?? 0) & 15
    ];
    return [answer.id === 77 ? code : 'WRONG ID', ...data].join(' ');
  } catch {
    return null;
  }
}

async function overUdp(server: string, query: Buffer, signal: AbortSignal): Promise<DecodedPacket> {
  const socket = createSocket('udp4');
  try {
    socket.send(query, 53, server);
    const [bytes] = (await once(socket, 'message', { signal })) as [Buffer];
    return decode(bytes);
  } finally {
    socket.close();
  }
}

async function overTcp(server: string, query: Buffer, signal: AbortSignal): Promise<DecodedPacket> {
  const socket = connect({ host: server, port: 53, signal });
  try {
    await once(socket, 'connect', { signal });
    socket.write(framed(query));
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      const message = firstFrame(received);
      if (message !== null) return decode(message);
    }
    throw new Error('no answer');
  } finally {
    socket.destroy();
  }
}

async function scan({ host, ports }: Extract<Request, { kind: 'scan' }>): Promise<string> {
  const socket = createSocket('udp4');
  socket.on('error', () => undefined);
  for (const port of ports) {
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.send('x', port, host, () => resolve());
    await promise;
  }
  socket.close();
  return 'sent';
}

process.on('message', async ({ id, request }: { id: number; request: Request }) => {
  const reply: Reply = await answer(request).then(
    (text) => ({ id, text }),
    (error: unknown) => ({ id, error: String(error) }),
  );
  process.send?.(reply);
});
process.on('disconnect', () => process.exit(0));
process.send?.({ id: 0, text: 'ready' } satisfies Reply);

/**
 * The program behind the proxies of `bench proxy`. `/` is a short text; `/bytes/N` sends N bytes; a body that is sent to it is
 * read and counted; a WebSocket echoes. Runs as a separate program; prints its address and exits on SIGTERM.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { WebSocketServer } from 'ws';
import { pieces } from './pieces.ts';

const server = createServer((incoming, outgoing) => {
  const [, bytes] = /^\/bytes\/(\d+)$/.exec(incoming.url ?? '') ?? [];
  if (bytes !== undefined) {
    outgoing.writeHead(200, { 'Content-Length': bytes });
    Readable.from(pieces(Number(bytes))).pipe(outgoing);
    return;
  }
  if (incoming.method === 'GET') {
    outgoing.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 6 });
    outgoing.end('hello\n');
    return;
  }
  let count = 0;
  incoming.on('data', (chunk: Buffer) => {
    count += chunk.length;
  });
  incoming.once('end', () => outgoing.end(`${count}\n`));
});
server.keepAliveTimeout = 600_000;
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => socket.terminate());
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => process.exit(0));

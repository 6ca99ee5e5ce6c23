/** TLS with certificates from files, on real connections to the proxy. */
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type WebSocket as ServerSocket, WebSocket, WebSocketServer } from 'ws';
import { silentLog } from '../../lib/log.ts';
import { listenAsProxy, type ProxyServer } from '../server.ts';
import { type ProxyWorld, startProxyWorld, suffix } from '../testing.ts';
import { FileCertificates } from './certificate-files.ts';
import { makeCertificate } from './testing.ts';

let directory: string;
let world: ProxyWorld;
let certificates: FileCertificates;
let server: ProxyServer;
let files: { readonly certFile: string; readonly keyFile: string };
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'proxy-tls-'));
  files = await makeCertificate(directory, 'first.example');
  world = await startProxyWorld();
  certificates = await FileCertificates.open(files, silentLog);
  server = await listenAsProxy(world.proxy, { host: '127.0.0.1', port: 0, certificates });
});
afterEach(async () => {
  await server.close(0);
  certificates.close();
  await world.close();
  await rm(directory, { recursive: true });
});

/** The answer, and the name in the certificate. */
async function get(servername?: string): Promise<[body: string, subject: string | undefined]> {
  const sent = request({
    ...{ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, agent: false },
    ...(servername === undefined ? {} : { servername }),
    headers: { host: `${world.id}-80${suffix}` },
  });
  sent.end();
  const [answer] = await once(sent, 'response');
  const subject = (answer.socket as TLSSocket).getPeerCertificate().subject.CN;
  return [await text(answer), Array.isArray(subject) ? subject[0] : subject];
}

test('requests arrive over TLS, and the program is told so', async () => {
  world.program = ({ headers }, outgoing) => outgoing.end(String(headers['x-forwarded-proto']));
  expect(await get('first.example')).toEqual(['https', 'first.example']);
  expect(await get()).toEqual(['https', 'first.example']);
});

test('WebSockets pass over TLS', async () => {
  const sockets = new WebSocketServer({ server: world.programs });
  sockets.on('connection', (socket: ServerSocket) => socket.on('message', (data) => socket.send(data)));
  const headers = { host: `${world.id}-80${suffix}` };
  const socket = new WebSocket(`wss://127.0.0.1:${server.port}/`, { headers, rejectUnauthorized: false });
  await once(socket, 'open');
  socket.send('hello');
  const [data] = await once(socket, 'message');
  expect(String(data)).toBe('hello');
  socket.terminate();
  sockets.close();
});

test('files that have changed are read again, for clients with and without a name', async () => {
  const { certFile, keyFile } = await makeCertificate(directory, 'second.example');
  await copyFile(certFile, files.certFile);
  await certificates.refresh();
  // Between the writes of two files they do not belong together.
  expect((await get('x.example'))[1]).toBe('first.example');
  await copyFile(keyFile, files.keyFile);
  await certificates.refresh();
  expect((await get('x.example'))[1]).toBe('second.example');
  expect((await get())[1]).toBe('second.example');
});

test('files that are missing or do not belong together are refused in words', async () => {
  const other = await makeCertificate(directory, 'other.example');
  const open = (certFile: string, keyFile: string) => FileCertificates.open({ certFile, keyFile }, silentLog);
  await expect(open(`${directory}/none.pem`, files.keyFile)).rejects.toThrow(
    `cannot read ${directory}/none.pem: ENOENT`,
  );
  await expect(open(files.certFile, other.keyFile)).rejects.toThrow(/key values mismatch/);
  await writeFile(files.certFile, await readFile(files.keyFile));
  await expect(open(files.certFile, files.keyFile)).rejects.toThrow('cannot be used');
});

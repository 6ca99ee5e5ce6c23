/** Binds one socket of the resolver. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** Connections that wait to be accepted. */
const backlog = 64;

export async function bindUdp(address: string, port: number): Promise<Socket> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

export async function bindTcp(address: string, port: number): Promise<Server> {
  const server = createServer();
  server.listen({ port, host: address, backlog });
  await once(server, 'listening');
  return server;
}

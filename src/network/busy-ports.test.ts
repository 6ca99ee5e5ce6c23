import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { portsOf, readBusyPorts } from './busy-ports.ts';
import { HostCommands } from './host-commands.ts';

test('finds programs that listen, of both families and protocols', async () => {
  const commands = new HostCommands(null);
  const look = () => readBusyPorts(commands, AbortSignal.timeout(10_000));
  const tcp = createServer().listen(0, '127.0.0.1');
  const udp = createSocket('udp4').bind(0);
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  const tcpPort = (tcp.address() as { port: number }).port;
  const udpPort = udp.address().port;
  const busy = await look();
  expect([busy.tcp.has(tcpPort), busy.udp.has(udpPort)]).toEqual([true, true]);
  tcp.close();
  udp.close();
  await Promise.all([once(tcp, 'close'), once(udp, 'close')]);
  expect((await look()).tcp.has(tcpPort)).toBe(false);
});

test('a connection is no program that listens', () => {
  const text = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000
   1: 0100007F:0016 0100007F:C350 01 00000000:00000000 00:00000000 00000000
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000`;
  expect([...portsOf(text, '0A')]).toEqual([3000, 8080]);
});

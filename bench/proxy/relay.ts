/**
 * Joins each connection with one to another address by nothing but Node's pipes: what any proxy in Node costs a message at
 * least. Runs as a separate program: `relay.ts HOST PORT`. Prints its address, and exits on SIGTERM.
 */
import { type AddressInfo, connect, createServer } from 'node:net';

const [host = '', port = ''] = process.argv.slice(2);
const server = createServer({ noDelay: true }, (client) => {
  const program = connect({ host, port: Number(port), noDelay: true });
  client.pipe(program).pipe(client);
  client.on('error', () => program.destroy());
  program.on('error', () => client.destroy());
});
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
process.once('SIGTERM', () => process.exit(0));

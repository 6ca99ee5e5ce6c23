/**
 * A program that opens the resolver's sockets in the network namespace in which it is started, hands them to its
 * parent over Node's IPC, and ends. `sockets.ts` starts it.
 */

import type { SendHandle } from 'node:child_process';
import { bindTcp, bindUdp } from './binding.ts';
import type { OpenerMessage, OpenerRequest } from './sockets.ts';

async function open({ addresses, port }: OpenerRequest): Promise<void> {
  for (const address of addresses) {
    await send({ kind: 'udp' }, await bindUdp(address, port));
    await send({ kind: 'tcp' }, await bindTcp(address, port));
  }
  await send({ kind: 'done' });
}

function send(message: OpenerMessage, handle?: SendHandle): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  process.send?.(message, handle, {}, (error) => (error ? reject(error) : resolve()));
  return promise;
}

process.once('message', (request: OpenerRequest) => {
  open(request)
    .catch((error: unknown) => send({ kind: 'failed', message: String(error) }))
    .finally(() => process.disconnect());
});

/** A relay to a server whose connections can be cut, for tests of clients that must survive it. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Listens on this host, and passes on connections to the server that `url` names at that moment. */
export async function relay(url: string | (() => string)) {
  const sockets = new Set<Socket>();
  const listener: Server = createServer((near) => {
    // The relay and the test's server end together, so that what is left of a connection may be reset.
    const { port } = new URL(typeof url === 'string' ? url : url());
    const far = near.pipe(connect(Number(port)));
    far.pipe(near);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve) => void listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address() as { readonly port: number };
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${address.port}`,
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

/**
 * The guest's end of a link in a separate process, for `bench hostile`: `guest-peer.ts SOCKET [flood]`. With
 * `flood` it answers its first call with window updates of size 0, as fast as the host reads them. Prints
 * `listening`.
 */
import { createServer } from 'node:net';
import { readLine } from '../../src/guest/lines.ts';
import { FakeGuest } from '../../src/guest/testing/fake-guest.ts';
import { encodeHeader, frameType, headerBytes } from '../../src/guest/yamux/frames.ts';

const [path = '', behaviour] = process.argv.slice(2);
const floodBytes = 64 * 1024;

function makeGuest(): FakeGuest {
  if (behaviour !== 'flood') return new FakeGuest();
  const guest: FakeGuest = new FakeGuest({
    serve: async (stream) => {
      await readLine(stream);
      const update = encodeHeader(frameType.windowUpdate, 0, stream.id, 0);
      const updates = Buffer.concat(Array<Buffer>(Math.floor(floodBytes / headerBytes)).fill(update));
      while (await guest.sendRaw(updates));
    },
  });
  return guest;
}

createServer((socket) => void makeGuest().accept(socket)).listen(path, () => {
  process.stdout.write('listening\n');
});
process.once('SIGTERM', () => process.exit(0));

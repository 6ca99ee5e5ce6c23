/**
 * Holds the guest link like a daemon, in order to be killed: starts commands in the guest and reads part of
 * their output. Arguments: state directory, incarnation. Prints one line of JSON: how much of each command's
 * output it has read.
 */
import type { GuestTarget } from '../../src/core/ports/guest.ts';
import { StateLayout } from '../../src/storage/layout.ts';
import { commands, makeGuestClient, targetOf } from './owned-commands.ts';

const [, , stateDir = '', incarnation = ''] = process.argv;
const client = await makeGuestClient(new StateLayout(stateDir));
const target: GuestTarget = targetOf(new StateLayout(stateDir), incarnation);
const never = new AbortController().signal;

const read: Record<string, number> = {};
for (const { id, script } of commands)
  await client.commands.start(target, { id, argv: ['sh', '-c', script] }, never);
await Promise.all(
  commands.map(async ({ id, readFirst }) => {
    let taken = 0;
    read[id] = taken;
    // A command without output has nothing to wait for.
    if (readFirst === 0) return;
    for await (const event of await client.commands.attach(target, id, 0, never)) {
      if (event.type === 'stdout' || event.type === 'stderr') taken += event.data.length;
      if (taken >= readFirst) break;
    }
    read[id] = taken;
  }),
);
process.stdout.write(`${JSON.stringify(read)}\n`);
// Until it is killed, its link stays open, and so does an attachment that nobody reads, with its window full
// of output.
await client.commands.attach(target, 'chatty', read.chatty ?? 0, never);
setInterval(() => undefined, 60_000);

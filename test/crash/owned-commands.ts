/** The commands of `commands.test.ts`, and the link of a host without a daemon. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestTarget } from '../../src/core/ports/guest.ts';
import { GuestClient } from '../../src/guest/client.ts';
import { dialVirtioSerial } from '../../src/guest/transports/virtio-serial.ts';
import type { StateLayout } from '../../src/storage/layout.ts';

export interface OwnedCommand {
  readonly id: string;
  readonly script: string;
  /** How much of its output the first host acknowledges before it is killed. */
  readonly readFirst: number;
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const lines = (word: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${word} ${index + 1}\n`).join('');

/** Each waits for a file, so that it runs while the hosts come and go. */
const gate = 'while [ ! -e /tmp/go ]; do sleep 0.2; done';

export const commands: readonly OwnedCommand[] = [
  {
    id: 'chatty',
    script: `i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo line $i; [ $i = 500 ] && { ${gate}; }; done; exit 3`,
    readFirst: 1,
    exitCode: 3,
    stdout: lines('line', 2000),
    stderr: '',
  },
  {
    id: 'bulk',
    script: `head -c 600000 /dev/zero | tr '\\0' z; ${gate}; echo over >&2`,
    readFirst: 200_000,
    exitCode: 0,
    stdout: 'z'.repeat(600_000),
    stderr: 'over\n',
  },
  {
    id: 'silent',
    script: `${gate}; echo woken; exit 42`,
    readFirst: 0,
    exitCode: 42,
    stdout: 'woken\n',
    stderr: '',
  },
];

export async function makeGuestClient(layout: StateLayout): Promise<GuestClient> {
  return new GuestClient({
    secret: await readFile(layout.linkKeyFile),
    transports: { 'virtio-serial': dialVirtioSerial },
  });
}

export function targetOf(layout: StateLayout, incarnation: string): GuestTarget {
  const path = join(layout.runDir(incarnation), 'agent.sock');
  return { machineId: 'one', incarnation, address: { transport: 'virtio-serial', path } };
}

/**
 * The guest of the engines' contract: an initramfs of busybox and one script that obeys the kernel argument
 * `flotilla.test=`. It has no agent and loads no module.
 */
import { readFile } from 'node:fs/promises';
import { type CpioEntry, cpioArchive } from './cpio.ts';

/** Printed by the guest first of all. */
export const guestMarker = 'flotilla test guest is up';

export const guestBehaviours = ['idle', 'poweroff', 'reset', 'panic', 'chatter', 'count'] as const;
/** `idle` waits for ever, `chatter` fills the console, `count` counts on it, the others end as named. */
export type GuestBehaviour = (typeof guestBehaviours)[number];

/** The kernel argument for the behaviour. */
export function behaviourArgument(behaviour: GuestBehaviour): string {
  return `flotilla.test=${behaviour}`;
}

const script = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
echo '${guestMarker}'
case " $(/bin/busybox cat /proc/cmdline) " in
  *' flotilla.test=poweroff '*) /bin/busybox poweroff -f ;;
  *' flotilla.test=reset '*) /bin/busybox reboot -f ;;
  *' flotilla.test=panic '*) echo c > /proc/sysrq-trigger ;;
  *' flotilla.test=chatter '*) /bin/busybox yes 'a line of some sixty bytes that fills the console of this guest' ;;
  *' flotilla.test=count '*) n=0; while :; do n=$((n + 1)); echo "count $n"; /bin/busybox usleep 100000; done ;;
esac
while :; do /bin/busybox sleep 3600; done
`;

/** Builds the initramfs from the host's static busybox. */
export async function tinyInitramfs(busyboxPath = '/bin/busybox'): Promise<Buffer> {
  const directory = (path: string): CpioEntry => ({ path, mode: 0o040755 });
  return cpioArchive([
    directory('bin'),
    directory('proc'),
    directory('dev'),
    { path: 'dev/console', mode: 0o020600, device: [5, 1] },
    { path: 'bin/busybox', mode: 0o100755, data: await readFile(busyboxPath) },
    { path: 'init', mode: 0o100755, data: Buffer.from(script) },
  ]);
}

/** How the guest runs that is reached by qemu-guest-agent and by ssh. Pure. */
import type { Blueprint } from '../raw-machine.ts';

/** Its socket, in the raw machine's directory. */
export const qgaSocketName = 'qga.sock';
const qgaPortName = 'org.qemu.guest_agent.0';
/** What QEMU's user networking calls its guest when nothing else is said. */
const guestAddress = '10.0.2.15/24';

/** The blueprint with a network that ends at this host's loopback, and a second serial port. */
export function withPeers(blueprint: Blueprint, baseImagePath: string, sshPort: number): Blueprint {
  const socket = `${blueprint.runDir}/${qgaSocketName}`.replaceAll(',', ',,');
  return {
    ...blueprint,
    baseImagePath,
    args: [
      ...blueprint.args,
      '-chardev',
      `socket,id=qga,path=${socket},server=on,wait=off`,
      '-device',
      `virtserialport,chardev=qga,name=${qgaPortName}`,
      '-netdev',
      `user,id=net0,restrict=on,hostfwd=tcp:127.0.0.1:${sshPort}-:22`,
      '-device',
      'virtio-net-device,netdev=net0',
    ],
  };
}

export interface GuestCommand {
  readonly argv: readonly string[];
  readonly stdin?: string;
}

/** What the guest runs once to be reached both ways; both servers stay, in the background. */
export function guestCommands(publicKey: string): readonly GuestCommand[] {
  return [
    { argv: ['ip', 'link', 'set', 'lo', 'up'] },
    { argv: ['ip', 'addr', 'add', guestAddress, 'dev', 'eth0'] },
    { argv: ['ip', 'link', 'set', 'eth0', 'up'] },
    { argv: ['mkdir', '-p', '-m', '0700', '/root/.ssh'] },
    { argv: ['tee', '/root/.ssh/authorized_keys'], stdin: publicKey },
    { argv: ['mkdir', '-p', '-m', '0755', '/run/sshd'] },
    // A child of PID 1 that leads its session is taken by sshd for a daemon already, and would stay in the foreground.
    { argv: ['start-stop-daemon', '--start', '--background', '--exec', '/usr/sbin/sshd', '--', '-D'] },
    // Without udev the port has no name below /dev.
    { argv: ['sh', '-c', startQga] },
  ];
}

const startQga = [
  'cd /sys/class/virtio-ports',
  'for port in *; do',
  `  [ "$(cat "$port/name")" = ${qgaPortName} ] || continue`,
  '  exec qemu-ga --daemonize --method virtio-serial --path "/dev/$port"',
  'done',
  'exit 1',
].join('\n');

/** Plans how the guest with qemu-guest-agent and ssh runs: its QEMU arguments and its commands. Pure. */
import type { Blueprint } from '../raw-machine.ts';

/** Socket of qemu-guest-agent, in the raw machine's directory. */
export const qgaSocketName = 'qga.sock';
const qgaPortName = 'org.qemu.guest_agent.0';
/** QEMU's default guest address in user networking. */
const guestAddress = '10.0.2.15/24';

/** The blueprint plus a network limited to this host's loopback and a second serial port. */
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

/** Commands that start both servers in the background. */
export function guestCommands(publicKey: string): readonly GuestCommand[] {
  return [
    { argv: ['ip', 'link', 'set', 'lo', 'up'] },
    { argv: ['ip', 'addr', 'add', guestAddress, 'dev', 'eth0'] },
    { argv: ['ip', 'link', 'set', 'eth0', 'up'] },
    { argv: ['mkdir', '-p', '-m', '0700', '/root/.ssh'] },
    { argv: ['tee', '/root/.ssh/authorized_keys'], stdin: publicKey },
    { argv: ['mkdir', '-p', '-m', '0755', '/run/sshd'] },
    // sshd believes it is a daemon already when it is PID 1's child and a session leader, and then stays in
    // the foreground; so start-stop-daemon starts it.
    { argv: ['start-stop-daemon', '--start', '--background', '--exec', '/usr/sbin/sshd', '--', '-D'] },
    // There is no udev, so the port has no name in /dev.
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

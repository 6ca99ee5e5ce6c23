/** Which of Hatch's environment variables this daemon honours, and which mean nothing to it. Pure. */
import { type Finding, ok, warn } from '../../setup/doctor/finding.ts';
import { aboveHatchVariables, honouredHatchVariables } from '../config.ts';

const ownNetwork = 'FLOTILLA_NETWORK_BRIDGE and FLOTILLA_NETWORK_CIDR say how guests are attached';
const ownProxy = 'HATCH_PROXY_ADDR, HATCH_PROXY_BASE_DOMAIN and HATCH_PROXY_WAKE_TIMEOUT are honoured';
const ownGateway =
  'FLOTILLA_SSH_LISTEN says where SSH is accepted; HATCH_SSH_PORT_MIN and HATCH_SSH_PORT_MAX are honoured';
const localSnapshots = 'snapshots stay on this host';
const ownEngine = 'machines run on QEMU, which set-up installs';
const ownImages = 'images are imported: flotilla images import';

/** Why a variable is ignored, by the beginning of its name. */
const ignored: readonly (readonly [prefix: string, reason: string])[] = [
  ['HATCH_DATA_DIR', 'FLOTILLA_STATE_DIR names the state directory'],
  ['HATCH_FIRECRACKER_', ownEngine],
  ['HATCH_BRIDGE_', ownNetwork],
  ['HATCH_PROXY_', ownProxy],
  ['HATCH_BASE_DOMAIN', ownProxy],
  ['HATCH_SSH_', ownGateway],
  ['HATCH_S3_', localSnapshots],
  ['HATCH_IDLE_CHECK_', 'idle machines are noticed without checks; HATCH_IDLE_TIMEOUT is honoured'],
  ['HATCH_DEFAULT_BOOT_ARGS', 'the host sets the kernel’s command line'],
  ['HATCH_DEFAULT_KERNEL_PATH', 'set-up provides the kernel'],
  ['HATCH_DEFAULT_ROOTFS_PATH', ownImages],
  ['HATCH_BETTER_AUTH_SESSION_', 'cookies are not accepted, only keys'],
];

/** One finding for those that are honoured and one for each other; none without any. */
export function checkHatchVariables(env: NodeJS.ProcessEnv): readonly Finding[] {
  const given = Object.keys(env)
    .filter((name) => name.startsWith('HATCH_') && env[name])
    .sort();
  const isOverridden = (name: string) => Boolean(env[aboveHatchVariables[name] ?? '']);
  const honoured = given.filter((name) => honouredHatchVariables.includes(name) && !isOverridden(name));
  return [
    ...(honoured.length === 0 ? [] : [ok('HATCH_*', `Honoured: ${honoured.join(', ')}`)]),
    ...given
      .filter((name) => !honoured.includes(name))
      .map((name) => warn(name, `Ignored: ${reasonOf(name)}`, 'Remove it, if you do not need it elsewhere.')),
  ];
}

function reasonOf(name: string): string {
  const above = aboveHatchVariables[name];
  if (above !== undefined) return `${above} takes precedence`;
  return ignored.find(([prefix]) => name.startsWith(prefix))?.[1] ?? 'no such variable is known';
}

/** The options that say what a machine is to be: `create` and `run` take them when it is made, `update` later. */
import { type Command, Option } from 'commander';
import {
  type ExpiryAction,
  expiryActions,
  type IdlePolicy,
  type LifetimeCounts,
  lifetimeCountings,
  type MachineCreate,
  type RestartPolicy,
  restartPolicies,
} from '../sdk/src/index.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { addNetworkOptions, type NetworkOptions, networkOf } from './network-options.ts';
import { addAlias } from './option-aliases.ts';
import {
  cpus,
  idlePolicy,
  lifetime,
  mebibytesOption,
  memoryMibFor,
  pairs,
  ports,
  sshPort,
  texts,
} from './options.ts';
import { readPublicKeys } from './ssh/public-key-file.ts';
import { readUserData } from './user-data.ts';

export interface SpecOptions extends NetworkOptions {
  readonly template?: string;
  readonly fromSnapshot?: string;
  readonly userData?: string;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly expose?: readonly number[];
  readonly label?: Readonly<Record<string, string>>;
  readonly ttl?: number;
  readonly onExpire?: ExpiryAction;
  readonly ttlCounts?: LifetimeCounts;
  readonly restart?: RestartPolicy;
  readonly idle?: IdlePolicy;
  readonly autoWake?: boolean;
  readonly sshKey?: readonly string[];
  readonly sshPort?: number | null;
}

export const restartOption = () =>
  new Option('--restart <policy>', 'when it restarts by itself').choices(restartPolicies);

export const onExpireOption = () =>
  new Option('--on-expire <action>', 'what happens at the end of --ttl').choices(expiryActions);

export const ttlCountsOption = () =>
  new Option(
    '--ttl-counts <when>',
    'whether --ttl stands still while the machine is paused or suspended',
  ).choices(lifetimeCountings);

export const idleText =
  'pause the machine when nobody has used it for this time, such as 10m; 10m:suspend, 10m:stop: suspend or stop it';

export function addSpecOptions(command: Command): Command {
  command
    .option('--template <template>', 'template that provides what is not given: image, sizes, user data')
    .addOption(
      new Option(
        '--from-snapshot <snapshot>',
        'snapshot that it goes on from, instead of an image; the sizes are the snapshot’s',
      ).conflicts('template'),
    )
    .option('--user-data <path>', 'file of user data: what the guest does once, after its first start')
    .option('--cpus <count>', 'virtual processors (default: 1)', cpus)
    .option(
      '-m, --memory <size>',
      'memory, such as 512m or 2g (default: 512m, for busybox 128m)',
      mebibytesOption,
    )
    .option(
      '--disk <size>',
      'disk, such as 20g (default: 10g, or what the image needs if that is more)',
      mebibytesOption,
    )
    .option('--expose <port>', 'port that the reverse proxy may reach (repeatable)', ports)
    .option('-l, --label <key=value>', 'label (repeatable)', pairs)
    .option(
      '--ttl <time>',
      'remove the machine after this time, such as 30m, 2h or 7d; see --on-expire',
      lifetime,
    )
    .addOption(onExpireOption())
    .addOption(ttlCountsOption())
    .addOption(restartOption())
    .option('--idle <time[:action]>', idleText, idlePolicy)
    .option('--no-auto-wake', 'requests through the proxy and SSH do not start or resume it')
    .option('--ssh-key <file|key>', 'public key that enters this machine alone (repeatable)', texts)
    .option(
      '--ssh-port <port>',
      'port of the host at which SSH enters this machine alone; any: a free one',
      sshPort,
    );
  addNetworkOptions(command);
  addAlias(command, '--expose', '--port');
  addAlias(command, '--cpus', '--vcpus');
  return addAlias(command, '--ttl', '--lifetime');
}

const defaultImage = 'debian-12';

/** The part of a create request that these options make. Without image: that of its template or snapshot, or the default one. */
export function specOf(name: string, image: string | undefined, options: SpecOptions): MachineCreate {
  const { userData, disk, expose, label, restart, idle, autoWake, sshKey, sshPort } = options;
  const network = networkOf(options);
  return {
    name,
    ...originOf(image, options),
    ...(disk === undefined ? {} : { disk_size_mib: disk }),
    ...(userData === undefined ? {} : { user_data: readUserData(userData) }),
    ...(expose === undefined ? {} : { exposed_ports: [...expose] }),
    ...(network === undefined ? {} : { network }),
    ...(label === undefined ? {} : { labels: label }),
    ...(options.ttl === undefined ? {} : { lifetime_seconds: options.ttl }),
    ...lifetimePolicyOf(options),
    ...(restart === undefined ? {} : { restart }),
    ...(idle === undefined ? {} : { idle }),
    ...(autoWake === false ? { auto_wake: false } : {}),
    ...(sshKey === undefined ? {} : { ssh_keys: readPublicKeys(sshKey) }),
    ...(sshPort === undefined ? {} : { ssh_port: sshPort }),
  };
}

/** What happens at the end of a lifetime, and when it counts; only what was said. */
export function lifetimePolicyOf({ onExpire, ttlCounts }: Pick<SpecOptions, 'onExpire' | 'ttlCounts'>) {
  return {
    ...(onExpire === undefined ? {} : { on_expire: onExpire }),
    ...(ttlCounts === undefined ? {} : { lifetime_counts: ttlCounts }),
  };
}

function originOf(image: string | undefined, options: SpecOptions) {
  const { template, fromSnapshot } = options;
  if (fromSnapshot !== undefined) return snapshotOf(fromSnapshot, image, options);
  return template === undefined
    ? sizesOf(image ?? defaultImage, options)
    : templateOf(template, image, options);
}

function snapshotOf(snapshot: string, image: string | undefined, { cpus, memory }: SpecOptions) {
  if (image !== undefined)
    throw new CliError('a machine from a snapshot takes no image', {
      hint: `Leave out ${image}: the snapshot has the disk.`,
      exitCode: exitCodes.usage,
    });
  return {
    source: { kind: 'snapshot', snapshot } as const,
    ...(cpus === undefined ? {} : { vcpu_count: cpus }),
    ...(memory === undefined ? {} : { mem_size_mib: memory }),
  };
}

function sizesOf(image: string, { cpus = 1, memory = memoryMibFor(image) }: SpecOptions) {
  return { image, vcpu_count: cpus, mem_size_mib: memory };
}

/** Only what was said, because everything else is the template's. */
function templateOf(template: string, image: string | undefined, { cpus, memory }: SpecOptions) {
  return {
    template,
    ...(image === undefined ? {} : { image }),
    ...(cpus === undefined ? {} : { vcpu_count: cpus }),
    ...(memory === undefined ? {} : { mem_size_mib: memory }),
  };
}

/** The options that say what a machine is to be: `create` and `run` take them when it is made, `update` later. */
import { type Command, Option } from 'commander';
import { type MachineCreate, type RestartPolicy, restartPolicies } from '../sdk/src/index.ts';
import { lifetime, mebibytesOption, memoryMibFor, pairs, vcpus } from './options.ts';

export interface SpecOptions {
  readonly cpus: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly label?: Readonly<Record<string, string>>;
  readonly ttl?: number;
  readonly restart?: RestartPolicy;
}

export const restartOption = () =>
  new Option('--restart <policy>', 'when it is started again: on-failure, always, or no').choices(
    restartPolicies,
  );

export function addSpecOptions(command: Command): Command {
  return command
    .option('--cpus <count>', 'virtual processors', vcpus, 1)
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
    .option('-l, --label <key=value>', 'label (repeatable)', pairs)
    .option('--ttl <time>', 'remove it after this long, such as 30m, 2h or 7d', lifetime)
    .addOption(restartOption());
}

/** The part of a create request that these options make. */
export function specOf(name: string, image: string, options: SpecOptions): MachineCreate {
  const { cpus, memory = memoryMibFor(image), disk, label, ttl, restart } = options;
  return {
    name,
    image,
    vcpu_count: cpus,
    mem_size_mib: memory,
    ...(disk === undefined ? {} : { disk_size_mib: disk }),
    ...(label === undefined ? {} : { labels: label }),
    ...(ttl === undefined ? {} : { lifetime_seconds: ttl }),
    ...(restart === undefined ? {} : { restart }),
  };
}

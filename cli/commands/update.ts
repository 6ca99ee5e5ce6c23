/** `update`: changes machines; their size only while they are stopped. */
import { Command } from 'commander';
import type {
  ExpiryAction,
  IdlePolicy,
  LifetimeCounts,
  RestartPolicy,
  UpdateMachine,
} from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { addEnvironmentOptions, type EnvironmentOptions, environmentOf } from '../environment-options.ts';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';
import { addPolicyOptions, type PolicyOptions, policyOf } from '../network-options.ts';
import { addAlias } from '../option-aliases.ts';
import { cpus, idlePolicy, lifetime, mebibytesOption, pairs, ports, sshPort, texts } from '../options.ts';
import { json, line } from '../output.ts';
import { resolved } from '../resolve.ts';
import {
  idleText,
  lifetimePolicyOf,
  onExpireOption,
  restartOption,
  ttlCountsOption,
} from '../spec-options.ts';
import { readPublicKeys } from '../ssh/public-key-file.ts';

interface UpdateOptions extends EnvironmentOptions, PolicyOptions {
  readonly label?: Readonly<Record<string, string>>;
  readonly labelRm?: readonly string[];
  readonly envRm?: readonly string[];
  readonly expose?: readonly number[];
  readonly exposeRm?: readonly number[];
  readonly ttl?: number | 'none';
  readonly onExpire?: ExpiryAction;
  readonly ttlCounts?: LifetimeCounts;
  readonly restart?: RestartPolicy;
  readonly idle?: IdlePolicy | 'none';
  readonly hold?: number | 'none';
  readonly autoWake?: boolean;
  readonly sshKey?: readonly string[];
  readonly sshPort?: number | null;
  readonly cpus?: number;
  readonly memory?: number;
  readonly disk?: number;
  readonly json?: true;
}

export function define(context: Context): Command {
  const command = new Command('update')
    .description(
      'Change machines, and print their names.\n' +
        'Processors, memory and disk can change only while a machine is stopped; a disk can only grow.',
    )
    .argument('<machine...>', 'ids or names')
    .option('-l, --label <key=value>', 'set a label (repeatable)', pairs)
    .option('--label-rm <key>', 'remove a label (repeatable)', texts)
    .option('--expose <port>', 'port that the reverse proxy may reach, from now on (repeatable)', ports)
    .option('--expose-rm <port>', 'port that it may not reach any more (repeatable)', ports)
    .option('--ttl <time>', 'remove the machine after this time from now, such as 2h; none: never', (text) =>
      text === 'none' ? text : lifetime(text),
    )
    .addOption(onExpireOption())
    .addOption(ttlCountsOption())
    .addOption(restartOption())
    .option('--idle <time[:action]>', `${idleText}; none: leave it running`, (text) =>
      text === 'none' ? text : idlePolicy(text),
    )
    .option(
      '--hold <time>',
      'do not let it rest for this time from now, such as 2h; none: as --idle says',
      (text) => (text === 'none' ? text : lifetime(text)),
    )
    .option('--auto-wake', 'requests through the proxy and SSH start or resume it')
    .option('--no-auto-wake', 'they do not')
    .option(
      '--ssh-key <file|key>',
      'public key that enters this machine alone, instead of those it has (repeatable); none: no key',
      texts,
    )
    .option(
      '--ssh-port <port>',
      'port of the host at which SSH enters this machine alone; any: a free one, none: no port',
      sshPort,
    )
    .option('--cpus <count>', 'virtual processors', cpus)
    .option('-m, --memory <size>', 'memory, such as 512m or 2g', mebibytesOption)
    .option('--disk <size>', 'disk, such as 20g', mebibytesOption);
  addPolicyOptions(command, '; none: it reaches no other machine');
  addAlias(command, '--cpus', '--vcpus');
  addAlias(command, '--ttl', '--lifetime');
  return addEnvironmentOptions(command, 'of every command in it')
    .option('--env-rm <key>', 'remove an environment variable (repeatable)', texts)
    .option('--json', 'print an array of the machines as the API gives them')
    .action((words: string[], options: UpdateOptions) => update(context, words, options));
}

async function update(context: Context, words: readonly string[], options: UpdateOptions): Promise<void> {
  const { client, signal } = context;
  const changes = changesOf(context, options);
  if (Object.keys(changes).length === 0) {
    const hint = 'flotilla update --help lists the options';
    throw new CliError('there is nothing to change', { hint, exitCode: exitCodes.usage });
  }
  const machines: unknown[] = [];
  const exitCode = await forEachId(context, words, 'updating', async (word) => {
    const machine = await resolved(context, word, async (id) => {
      return client.machines.update(id, changes, { signal });
    });
    machines.push(machine);
    return options.json ? '' : line(machine.name);
  });
  if (options.json) await context.print(json(machines));
  context.exitWith(exitCode);
}

function changesOf(context: Context, options: UpdateOptions): UpdateMachine {
  const { expose, exposeRm } = options;
  const { ttl, restart, idle, hold, autoWake, sshKey, sshPort, cpus, memory, disk } = options;
  const labels = merged(options.label, options.labelRm);
  const env = merged(environmentOf(context, options), options.envRm);
  const network = policyOf(options);
  return {
    ...(labels === undefined ? {} : { labels }),
    ...(env === undefined ? {} : { env }),
    ...(expose === undefined ? {} : { exposed_ports_add: [...expose] }),
    ...(exposeRm === undefined ? {} : { exposed_ports_remove: [...exposeRm] }),
    ...(ttl === undefined ? {} : { lifetime_seconds: ttl === 'none' ? null : ttl }),
    ...lifetimePolicyOf(options),
    ...(restart === undefined ? {} : { restart }),
    ...(idle === undefined ? {} : { idle: idle === 'none' ? null : idle }),
    ...(hold === undefined ? {} : { hold_seconds: hold === 'none' ? null : hold }),
    ...(autoWake === undefined ? {} : { auto_wake: autoWake }),
    ...(sshKey === undefined ? {} : { ssh_keys: sshKeysOf(sshKey) }),
    ...(sshPort === undefined ? {} : { ssh_port: sshPort }),
    ...(cpus === undefined ? {} : { vcpu_count: cpus }),
    ...(memory === undefined ? {} : { mem_size_mib: memory }),
    ...(disk === undefined ? {} : { disk_size_mib: disk }),
    ...(Object.keys(network).length === 0 ? {} : { network }),
  };
}

/** `none` is the empty list, beside which there is nothing else. */
function sshKeysOf(given: readonly string[]): string[] {
  return given.length === 1 && given[0] === 'none' ? [] : readPublicKeys(given);
}

/** What is set, and null for what is removed; undefined when neither is asked for. */
function merged(
  set: Readonly<Record<string, string>> | undefined,
  removed: readonly string[] | undefined,
): Record<string, string | null> | undefined {
  if (set === undefined && removed === undefined) return undefined;
  return { ...Object.fromEntries((removed ?? []).map((key) => [key, null])), ...set };
}

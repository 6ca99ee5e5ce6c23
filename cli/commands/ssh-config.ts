/** `ssh-config`: what OpenSSH's programs and editors need to reach machines with a registered key. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { findMachines } from '../filters.ts';
import { defaultProfile, profilePath } from '../profile.ts';
import { resolved } from '../resolve.ts';
import { gatewayAlias, gatewayHost, nobodysPublicKey } from '../ssh/place.ts';

export function define(context: Context): Command {
  return new Command('ssh-config')
    .description(
      'Print Host blocks for ~/.ssh/config, one for each machine: then ssh, scp, rsync, git and editors know web.flotilla.\n' +
        'They authenticate with a key of yours that flotilla ssh-keys add has registered.',
    )
    .argument('[machine...]', 'ids or names (default: all machines)')
    .action((words: readonly string[]) => print(context, words));
}

async function print(context: Context, words: readonly string[]): Promise<void> {
  const { client, config, signal, env } = context;
  const all = words.length > 0 ? [] : (await findMachines(context, {})).items;
  const found = words.map((word) => resolved(context, word, (id) => client.machines.get(id, { signal })));
  const machines = [...all, ...(await Promise.all(found))];
  const [first] = machines;
  if (first === undefined) return context.note('no machines; flotilla create makes one');
  const place = await client.sshKeys.certify(
    first.id,
    { public_key: nobodysPublicKey(), ttl_seconds: 1 },
    { signal },
  );
  const knownHosts = join(dirname(profilePath(env, defaultProfile)), 'ssh_known_hosts');
  mkdirSync(dirname(knownHosts), { recursive: true, mode: 0o700 });
  writeFileSync(knownHosts, `${gatewayAlias} ${place.host_key}\n`, { mode: 0o600 });
  const blocks = machines.map(({ id, name }) =>
    [
      `Host ${name}.flotilla`,
      `  HostName ${gatewayHost(config.url)}`,
      `  Port ${place.port}`,
      `  User ${id}`,
      `  HostKeyAlias ${gatewayAlias}`,
      `  UserKnownHostsFile "${knownHosts}"`,
      '  StrictHostKeyChecking yes',
    ].join('\n'),
  );
  await context.print(`${blocks.join('\n\n')}\n`);
}

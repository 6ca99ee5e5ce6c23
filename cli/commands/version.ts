/** `version`: prints the versions of this program and of the daemon, if one answers. */
import { Command } from 'commander';
import { FlotillaError, type Health } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { json, printable } from '../output.ts';
import { cliVersion } from '../version.ts';

const patienceMs = 3_000;

export function define(context: Context): Command {
  return new Command('version')
    .description('Print the version of this program and of the daemon, when it can be reached.')
    .option('--json', 'print an object')
    .action(async (options: { readonly json?: true }) => {
      const health = await askDaemon(context);
      if (options.json) await context.print(json({ client: { version: cliVersion() }, server: health }));
      else
        await context.print(`flotilla ${cliVersion()}\ndaemon ${daemonLine(health, context.config.url)}\n`);
    });
}

async function askDaemon(context: Context): Promise<Health | null> {
  try {
    return await context.client.health({ signal: context.signal, timeoutMs: patienceMs });
  } catch (error) {
    if (error instanceof FlotillaError) return null;
    throw error;
  }
}

function daemonLine(health: Health | null, url: string): string {
  if (health === null) return `not reachable at ${url}`;
  return `${printable(health.version ?? 'of unknown version')} at ${url}`;
}

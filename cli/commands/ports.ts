/** `ports`: lists the published ports of a machine, as `docker port` does. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { json, line } from '../output.ts';
import { portText } from '../ports.ts';
import { resolved } from '../resolve.ts';

export function define(context: Context): Command {
  return new Command('ports')
    .description('List the ports of the daemon’s host that lead to a machine.')
    .argument('<machine>', 'id or name')
    .option('--json', 'print an array of the ports as the API gives them')
    .action((word: string, { json: isJson }: { readonly json?: true }) =>
      list(context, word, isJson === true),
    );
}

async function list(context: Context, word: string, isJson: boolean): Promise<void> {
  const { client, signal } = context;
  const { ports } = await resolved(context, word, (id) => client.network.ports(id, { signal }));
  if (isJson) return context.print(json(ports));
  if (ports.length === 0) context.note(`no published ports; flotilla publish ${word} 8080:80 publishes one`);
  await context.print(ports.map((port) => line(portText(port))).join(''));
}

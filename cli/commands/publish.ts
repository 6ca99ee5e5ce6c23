/** `publish`: lets ports of the daemon's host lead to a machine, at once. */
import { Command } from 'commander';
import type { PublishedPort, PublishPort } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { publications } from '../network-options.ts';
import { json, line } from '../output.ts';
import { portText, warnOfDelay } from '../ports.ts';
import { resolved } from '../resolve.ts';

export function define(context: Context): Command {
  return new Command('publish')
    .description(
      'Let ports of the daemon’s host lead to a machine, and print them.\n' +
        '80 takes a free port of the host, 8080:80 takes 8080 of 127.0.0.1, 0.0.0.0:8080:80 is open to everyone.\n' +
        'They stay until they are withdrawn or the machine is removed.',
    )
    .argument('<machine>', 'id or name')
    .argument('<port...>', '[[ADDRESS:]PORT:]GUESTPORT[/udp]', publications)
    .option('--json', 'print an array of the ports as the API gives them')
    .action((word: string, ports: readonly PublishPort[], { json: isJson }: { readonly json?: true }) =>
      publish(context, word, ports, isJson === true),
    );
}

async function publish(
  context: Context,
  word: string,
  ports: readonly PublishPort[],
  isJson: boolean,
): Promise<void> {
  const { client, signal } = context;
  const published: PublishedPort[] = [];
  try {
    for (const port of ports) {
      const change = await resolved(context, word, (id) => client.network.publish(id, port, { signal }));
      warnOfDelay(context, change);
      published.push(change.port);
      if (!isJson) await context.print(line(portText(change.port)));
    }
  } finally {
    // What is published stays, whatever became of the next one.
    if (isJson) await context.print(json(published));
  }
}

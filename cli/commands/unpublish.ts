/** `unpublish`: withdraws published ports of a machine. */
import { Command } from 'commander';
import type { Context } from '../context.ts';
import { forEachId } from '../each.ts';
import { json, line } from '../output.ts';
import { hostPort, portText, warnOfDelay } from '../ports.ts';
import { resolved } from '../resolve.ts';

export function define(context: Context): Command {
  return new Command('unpublish')
    .description('Withdraw published ports of a machine, and print them. Their connections end.')
    .argument('<machine>', 'id or name')
    .argument('<port...>', 'ports of the host, such as 8080 or 53/udp')
    .option('--json', 'print an array of the ports as the API gave them')
    .action((word: string, ports: string[], { json: isJson }: { readonly json?: true }) =>
      unpublish(context, word, ports, isJson === true),
    );
}

async function unpublish(
  context: Context,
  word: string,
  ports: readonly string[],
  isJson: boolean,
): Promise<void> {
  const { client, signal } = context;
  // Read first, so that a typing error withdraws nothing.
  const wanted = new Map(ports.map((text) => [text, hostPort(text)]));
  const withdrawn: unknown[] = [];
  const exitCode = await forEachId(context, [...wanted.keys()], '', async (text) => {
    const { port, protocol } = wanted.get(text) ?? hostPort(text);
    const change = await resolved(context, word, (id) =>
      client.network.unpublish(id, port, { protocol }, { signal }),
    );
    warnOfDelay(context, change);
    withdrawn.push(change.port);
    return isJson ? '' : line(portText(change.port));
  });
  if (isJson) await context.print(json(withdrawn));
  context.exitWith(exitCode);
}

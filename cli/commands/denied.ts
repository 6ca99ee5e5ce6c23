/** `denied`: shows what the egress policy of a machine has refused. */
import { Command } from 'commander';
import type { DeniedEgress } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { age, json } from '../output.ts';
import { resolved } from '../resolve.ts';
import { type Column, table } from '../table.ts';

type Denied = DeniedEgress['denied'][number];

export function define(context: Context): Command {
  return new Command('denied')
    .description('Show what a machine tried to reach and was not allowed to, newest first.')
    .argument('<machine>', 'id or name')
    .option('--json', 'print an array of the destinations as the API gives them')
    .action((word: string, { json: isJson }: { readonly json?: true }) =>
      show(context, word, isJson === true),
    );
}

async function show(context: Context, word: string, isJson: boolean): Promise<void> {
  const { client, signal } = context;
  const { denied } = await resolved(context, word, (id) => client.network.denied(id, { signal }));
  if (isJson) return context.print(json(denied));
  if (denied.length === 0) return context.note('nothing was refused');
  await context.print(table(columns(Date.now()), denied, context.room));
}

function columns(now: number): readonly Column<Denied>[] {
  return [
    { title: 'DESTINATION', text: ({ domain, address }) => domain ?? address, cutTo: 20 },
    { title: 'PORT', text: ({ port }) => (port === null ? '-' : String(port)) },
    { title: 'PROTOCOL', text: ({ protocol }) => protocol, leftOut: 2 },
    { title: 'PACKETS', text: ({ packets }) => String(packets), leftOut: 1 },
    { title: 'LAST', text: ({ last_at: at }) => age(at, now) },
  ];
}

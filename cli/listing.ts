/** What every `ls` has in common. */
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { wholeNumber } from './options.ts';
import { type Column, json, line, table } from './output.ts';
import type { Page } from './paging.ts';

export interface ListingOptions {
  readonly limit: number;
  readonly json?: true;
  readonly quiet?: true;
}

export interface Listing<Row> {
  /** The field of the API's list. */
  readonly field: string;
  /** What is said when there are none, such as `no stopped machines`. */
  readonly empty: string;
  readonly id: (row: Row) => string;
  readonly columns: readonly Column<Row>[];
}

/** The options that go with `printListing`; `ids` says what --quiet prints. */
export function addListingOptions(command: Command, ids: string): Command {
  return command
    .option('--limit <count>', 'at most this many', wholeNumber(1, 100_000), 1000)
    .option('-q, --quiet', `print ${ids} only`)
    .option('--json', 'print what the API gives');
}

/** Prints the page the way the options ask for, and says what is missing from it. */
export async function printListing<Row>(
  context: Context,
  options: ListingOptions,
  { items, total }: Page<Row>,
  listing: Listing<Row>,
): Promise<void> {
  if (options.json) await context.print(json({ [listing.field]: items, total }));
  else if (options.quiet) await context.print(items.map((row) => line(listing.id(row))).join(''));
  else if (items.length === 0) context.note(listing.empty);
  else await context.print(table(listing.columns, items));
  const left = total - items.length;
  if (left > 0) context.note(`${left} more not shown; --limit ${total} shows all`);
}

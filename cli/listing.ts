/** Options and output of every `ls`: limit, format, ids only. */
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { addFormatOptions, type FormatOptions, isJson, render, templateOf } from './format.ts';
import { wholeNumber } from './options.ts';
import { json, line } from './output.ts';
import type { Page } from './paging.ts';
import { type Column, table } from './table.ts';

export interface ListingOptions extends FormatOptions {
  readonly limit?: number;
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

/** People read no more; what programs read is whole. */
const limitForPeople = 1000;
const limitMax = 100_000;

/** The options that go with `printListing`; `ids` says what --quiet prints. */
export function addListingOptions(command: Command, ids: string): Command {
  command
    .option(
      '--limit <count>',
      `at most this many (default: ${limitForPeople}; with --quiet all)`,
      wholeNumber(1, limitMax),
    )
    .option('-q, --quiet', `print ${ids} only`);
  return addFormatOptions(command, 'print the list as the API gives it; with --quiet an array');
}

export function limitOf({ limit, quiet }: ListingOptions): number {
  return limit ?? (quiet ? limitMax : limitForPeople);
}

/** Prints the page the way the options ask for, and says what is missing from it. */
export async function printListing<Row extends object>(
  context: Context,
  options: ListingOptions,
  page: Page<Row>,
  listing: Listing<Row>,
): Promise<void> {
  const { items, total } = page;
  const text = await textOf(context, options, page, listing);
  if (text === null) context.note(listing.empty);
  else await context.print(text);
  const left = total - items.length;
  if (left > 0 && !options.quiet) context.note(`${left} more not shown; --limit ${total} shows all`);
}

async function textOf<Row extends object>(
  context: Context,
  options: ListingOptions,
  { items, total }: Page<Row>,
  { field, id, columns }: Listing<Row>,
): Promise<string | null> {
  const template = templateOf(options);
  if (options.quiet && isJson(options)) return json(items.map(id));
  if (options.quiet) return items.map((row) => line(id(row))).join('');
  if (isJson(options)) return json({ [field]: items, total });
  if (template !== null) return render(template, items);
  return items.length === 0 ? null : table(columns, items, context.room);
}

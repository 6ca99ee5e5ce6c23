/**
 * `stats`: shows what machines use, like `docker stats`: on a terminal again and again, elsewhere once. The share of the
 * processors is that of the time between two measurements.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { FlotillaError, type MachineMetrics, type MachineSummary } from '../../sdk/src/index.ts';

import type { Context } from '../context.ts';
import { addFilterOption, findMachines, type MachineFilter } from '../filters.ts';
import { addFormatOptions, type FormatOptions, isJson, render, templateOf } from '../format.ts';
import { wholeNumber } from '../options.ts';
import { byteCount, json, mebibytes, paintStatus, secondsText } from '../output.ts';
import { isTerminal } from '../progress.ts';
import { resolved } from '../resolve.ts';
import { type Column, table } from '../table.ts';

interface Options extends FormatOptions {
  readonly filter?: MachineFilter;
  readonly stream: boolean;
  readonly interval: number;
}

interface Row {
  readonly name: string;
  /** Of one processor; null before the second measurement, and while the machine does not run. */
  readonly cpu_percent: number | null;
  readonly metrics: MachineMetrics;
}

const measuredAtOnceMax = 8;
/** Cursor to the corner, and everything after it cleared: no flicker, as with a cleared screen. */
const corner = '\x1b[H';
const clearRest = '\x1b[J';
const clearAll = '\x1b[2J';

export function define(context: Context): Command {
  const command = new Command('stats')
    .description(
      'Show what machines use: processors, memory, disk, network. Default: all that run.\n' +
        'On a terminal the table is renewed until Ctrl-C; elsewhere it is printed once.',
    )
    .argument('[machine...]', 'ids or names')
    .option('--no-stream', 'print once, on a terminal too')
    .option('--interval <seconds>', 'between two measurements', wholeNumber(1, 3600), 1);
  addFilterOption(command, 'only those that match');
  return addFormatOptions(command, 'print an array with the machines’ metrics').action(
    (words: string[], options: Options) => show(context, words, options),
  );
}

async function show(context: Context, words: readonly string[], options: Options): Promise<void> {
  const template = templateOf(options);
  const isLive =
    options.stream && isTerminal(context.streams.stdout) && !isJson(options) && template === null;
  let before = await measureAll(context, words, options);
  if (isLive) await context.print(clearAll);
  do {
    const { signal } = context;
    await sleep(options.interval * 1000, undefined, { signal }).catch(() => signal.throwIfAborted());
    const now = await measureAll(context, words, options);
    const rows = now.map((each) => rowOf(each, before));
    if (isJson(options)) return context.print(json(rows));
    if (template !== null) return context.print(await render(template, rows));
    const text = rows.length === 0 ? '' : table(columns, rows, context.room);
    if (rows.length === 0) context.note('no machine runs');
    await context.print(isLive ? `${corner}${text}${clearRest}` : text);
    before = now;
  } while (isLive);
}

interface Measured {
  readonly name: string;
  readonly metrics: MachineMetrics;
}

async function measureAll(
  context: Context,
  words: readonly string[],
  { filter = {} }: Options,
): Promise<readonly Measured[]> {
  const { client, signal } = context;
  if (words.length > 0)
    return inTurns(words, (word) =>
      resolved(context, word, async (id) => {
        const { name } = await client.machines.get(id, { signal });
        return { name, metrics: await client.machines.metrics(id, { signal }) };
      }),
    );
  const running = { ...filter, status: filter.status ?? (['running', 'paused'] as const) };
  const { items } = await findMachines(context, running);
  const measured = await inTurns(items, ({ id, name }) => measureIfThere(context, { id, name }));
  return measured.filter((each) => each !== null);
}

/** Null: it was removed since it was listed. */
async function measureIfThere(
  { client, signal }: Context,
  { id, name }: Pick<MachineSummary, 'id' | 'name'>,
): Promise<Measured | null> {
  try {
    return { name, metrics: await client.machines.metrics(id, { signal }) };
  } catch (error) {
    if (error instanceof FlotillaError && error.status === 404) return null;
    throw error;
  }
}

/** In the order of the items, a few at a time. */
async function inTurns<Item, Result>(
  items: readonly Item[],
  act: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += measuredAtOnceMax)
    results.push(...(await Promise.all(items.slice(start, start + measuredAtOnceMax).map(act))));
  return results;
}

function rowOf({ name, metrics }: Measured, before: readonly Measured[]): Row {
  const earlier = before.find(({ metrics: { machine_id } }) => machine_id === metrics.machine_id);
  return { name, cpu_percent: earlier === undefined ? null : usage(earlier.metrics, metrics), metrics };
}

/** Null when one was not measured, or the machine was started between them. */
function usage(before: MachineMetrics, now: MachineMetrics): number | null {
  const elapsedMs = Date.parse(now.measured_at) - Date.parse(before.measured_at);
  if (now.cpu.time_ms === null || before.cpu.time_ms === null || elapsedMs <= 0) return null;
  const usedMs = now.cpu.time_ms - before.cpu.time_ms;
  return usedMs < 0 ? null : Math.round((usedMs / elapsedMs) * 1000) / 10;
}

const unknown = '-';
const bytes = (count: number | null) => (count === null ? unknown : byteCount(count));

const memory = (count: number | null) => (count === null ? unknown : mebibytes(Math.round(count / 2 ** 20)));

/** What programs and the kernel hold, of what there is. */
function memoryText({ memory: { guest, size_bytes: size } }: MachineMetrics): string {
  const { total_bytes: total = null, available_bytes: available = null } = guest ?? {};
  const used = total === null || available === null ? null : total - available;
  return `${memory(used)} / ${memory(size)}`;
}

const columns: readonly Column<Row>[] = [
  { title: 'NAME', text: ({ name }) => name, cutTo: 20 },
  {
    title: 'STATUS',
    text: ({ metrics }) => metrics.status,
    paint: (text, { metrics }) => paintStatus(text, metrics.status),
    leftOut: 1,
  },
  {
    title: 'CPU',
    text: ({ cpu_percent: percent }) => (percent === null ? unknown : `${percent.toFixed(1)}%`),
  },
  { title: 'VCPUS', text: ({ metrics }) => String(metrics.cpu.vcpu_count), leftOut: 5 },
  { title: 'MEMORY', text: ({ metrics }) => memoryText(metrics) },
  { title: 'ON HOST', text: ({ metrics }) => memory(metrics.memory.host_used_bytes), leftOut: 4 },
  {
    title: 'DISK READ / WRITTEN',
    text: ({ metrics: { disk } }) => `${bytes(disk.read_bytes)} / ${bytes(disk.write_bytes)}`,
    leftOut: 3,
  },
  {
    title: 'NET IN / OUT',
    text: ({ metrics: { network } }) =>
      `${bytes(network?.rx_bytes ?? null)} / ${bytes(network?.tx_bytes ?? null)}`,
    leftOut: 6,
  },
  {
    title: 'UPTIME',
    text: ({ metrics }) =>
      metrics.uptime_seconds === 0 ? unknown : secondsText(metrics.uptime_seconds * 1000),
    leftOut: 2,
  },
];

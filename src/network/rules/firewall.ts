/**
 * Puts rules in force: each change is one nft transaction, so that no packet meets half of it. Remembers which
 * elements it has put there, and writes only differences; when a transaction fails, because somebody else changed the
 * tables, it writes everything anew, also in one transaction.
 *
 * Not safe for concurrent calls; BridgeNetwork makes them one after another.
 */
import { AppError } from '../../core/errors.ts';
import { ProcessError } from '../../lib/process.ts';
import type { HostCommands } from '../host-commands.ts';
import { type Element, elementId } from './elements.ts';

type ById = ReadonlyMap<string, Element>;

/** The text of two tables of one name, one in each family: constant, but for the host's options. */
export interface TableText<Options> {
  name(options: Options): string;
  /** Declares tables, sets and chains; what is there already stays as it is. */
  declarations(options: Options): string;
  /** All rules. Every chain must be empty before. */
  rules(options: Options): string;
  /** The sets and maps that hold what is configured about machines. */
  readonly configured: { readonly [table in Element['table']]: readonly string[] };
  isMap(set: string): boolean;
}

export class Firewall<Options> {
  readonly #commands: HostCommands;
  readonly #text: TableText<Options>;
  #options: Options;
  /** By machine. */
  readonly #elements = new Map<string, ById>();
  /** False until everything was written, and after a failure: the tables may then have anything. */
  #isExact = false;
  #isKnown = false;

  constructor(commands: HostCommands, text: TableText<Options>, options: Options) {
    this.#commands = commands;
    this.#text = text;
    this.#options = options;
  }

  /** Replaces the elements of these machines; `null` removes a machine. `more` is appended to the transaction. */
  async change(
    machines: ReadonlyMap<string, readonly Element[] | null>,
    signal: AbortSignal,
    more = '',
  ): Promise<void> {
    const before = new Map<string, Element>();
    const after = new Map<string, Element>();
    for (const [machineId, elements] of machines) {
      for (const [id, element] of this.#elements.get(machineId) ?? []) before.set(id, element);
      for (const element of elements ?? []) after.set(elementId(element), element);
      this.#remember(machineId, elements);
    }
    const differs = (one: ReadonlyMap<string, Element>) => (element: Element) => {
      const other = one.get(elementId(element));
      return other === undefined || other.data !== element.data;
    };
    const script = [
      ...this.#lines('delete', [...before.values()].filter(differs(after))),
      ...this.#lines('add', [...after.values()].filter(differs(before))),
      more,
    ]
      .filter((line) => line !== '')
      .join('\n');
    if (!this.#isExact) return this.#writeAll(signal, more);
    if (script === '') return;
    this.#isExact = false;
    try {
      await this.#apply(script, signal);
      this.#isExact = true;
    } catch (error) {
      if (signal.aborted || !(error instanceof ProcessError) || error.isTimeout) throw error;
      await this.#writeAll(signal, more);
    }
  }

  /** From now on, the tables are to have exactly these machines' elements; `write`, or the next change, makes it so. */
  expect(options: Options, machines: ReadonlyMap<string, readonly Element[]>): void {
    this.#options = options;
    this.#isExact = false;
    this.#isKnown = true;
    this.#elements.clear();
    for (const [machineId, elements] of machines) this.#remember(machineId, elements);
  }

  get options(): Options {
    return this.#options;
  }

  /** Writes the rules anew for other options, with the elements that are there. */
  async adopt(options: Options, signal: AbortSignal): Promise<void> {
    this.#options = options;
    await this.#writeAll(signal);
  }

  /** Whether it was told what the tables are to have. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** Writes the rules and the elements of all machines, whatever is in the tables. */
  async write(signal: AbortSignal, more = ''): Promise<void> {
    await this.#writeAll(signal, more);
  }

  /** Removes both tables. */
  async remove(signal: AbortSignal): Promise<void> {
    this.#isExact = false;
    const tables = this.#tables();
    await this.#apply(
      tables.flatMap((table) => [`add table ${table}`, `delete table ${table}`]).join('\n'),
      signal,
    );
  }

  /** Runs an nft script; for sets that are not configured ones. */
  async apply(script: string, signal: AbortSignal): Promise<void> {
    await this.#apply(script, signal);
  }

  /** The elements of a set, as nft shows them in JSON; none when somebody has removed the tables. */
  async list(
    set: string,
    signal: AbortSignal,
    table: Element['table'] = 'inet',
  ): Promise<readonly unknown[]> {
    const shown = await this.#commands
      .json('nft', ['-j', 'list', 'set', table, this.#name, set], signal)
      .catch((error: unknown) => {
        if (error instanceof ProcessError && /No such file or directory/.test(error.stderr)) return null;
        throw error;
      });
    const objects = (shown as { nftables?: readonly { set?: { elem?: readonly unknown[] } }[] } | null)
      ?.nftables;
    return objects?.find(({ set: found }) => found !== undefined)?.set?.elem ?? [];
  }

  #remember(machineId: string, elements: readonly Element[] | null): void {
    if (elements === null) this.#elements.delete(machineId);
    else this.#elements.set(machineId, new Map(elements.map((element) => [elementId(element), element])));
  }

  async #writeAll(signal: AbortSignal, more = ''): Promise<void> {
    this.#isExact = false;
    const contents = [
      this.#text.rules(this.#options),
      ...this.#lines(
        'add',
        [...this.#elements.values()].flatMap((elements) => [...elements.values()]),
      ),
      more,
    ];
    const tables = this.#tables();
    // The counters of refused packets and the resolver's answers stay.
    const gentle = [
      this.#text.declarations(this.#options),
      ...tables.map((table) => `flush table ${table}`),
      ...this.#configured().map((set) => `flush ${set}`),
      ...contents,
    ];
    const thorough = [
      ...tables.flatMap((table) => [`add table ${table}`, `delete table ${table}`]),
      this.#text.declarations(this.#options),
      ...contents,
    ];
    try {
      await this.#apply(gentle.join('\n'), signal);
    } catch (error) {
      if (signal.aborted || !(error instanceof ProcessError) || error.isTimeout || error.isMissing)
        throw error;
      // Tables of another version, or changed by somebody.
      await this.#apply(thorough.join('\n'), signal);
    }
    this.#isExact = true;
  }

  get #name(): string {
    return this.#text.name(this.#options);
  }

  #tables(): readonly string[] {
    return [`bridge ${this.#name}`, `inet ${this.#name}`];
  }

  #configured(): readonly string[] {
    const named = (table: 'bridge' | 'inet') =>
      this.#text.configured[table].map(
        (set) => `${this.#text.isMap(set) ? 'map' : 'set'} ${table} ${this.#name} ${set}`,
      );
    return [...named('bridge'), ...named('inet')];
  }

  /** One command for each set; one element on a line, because nft repeats the line that it complains about. */
  #lines(verb: 'add' | 'delete', elements: readonly Element[]): readonly string[] {
    const bySet = Map.groupBy(elements, ({ table, set }) => `${table} ${this.#name} ${set}`);
    return [...bySet].map(([set, members]) => {
      const texts = members.map(({ key, data }) => (data === null ? key : `${key} : ${data}`));
      return `${verb} element ${set} {\n${texts.join(',\n')}\n}`;
    });
  }

  async #apply(script: string, signal: AbortSignal): Promise<void> {
    if (script.includes('\0')) throw new AppError('invalid', 'a rule contains a zero byte');
    await this.#commands.run('nft', ['-f', '-'], { stdin: `${script}\n`, signal });
  }
}

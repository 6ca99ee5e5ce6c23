/** `--format`: a table, JSON, or a Liquid template such as `{{name}} {{labels.team | default: "-"}}`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';

export interface FormatOptions {
  readonly format?: Format;
  readonly json?: true;
}

/** `table`, `json`, or the text of a template. */
export type Format = string;

export function addFormatOptions(command: Command, json: string): Command {
  const format = new Option('--format <format>', 'table, json, or a template such as {{name}}').argParser(
    checked,
  );
  return command.addOption(format.conflicts('json')).option('--json', json);
}

export function isJson({ format, json }: FormatOptions): boolean {
  return json === true || format === 'json';
}

/** The template that was asked for; null: none. */
export function templateOf({ format }: FormatOptions): string | null {
  return format === undefined || format === 'table' || format === 'json' ? null : format;
}

/** A line for each item. Throws CliError for a template that is none, or that names a field no item has. */
export async function render(template: string, items: readonly object[]): Promise<string> {
  const { Liquid } = await import('liquidjs');
  // Templates of its own only: it reads no file.
  const liquid = new Liquid({ strictVariables: true, strictFilters: true, lenientIf: true, templates: {} });
  try {
    const parsed = liquid.parse(template);
    const lines = await Promise.all(items.map((item) => liquid.render(parsed, item)));
    return lines.map((line) => `${line}\n`).join('');
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    throw new CliError(`the format cannot be used: ${reason}`, {
      hint: 'fields are those that --format json shows; {{labels.team | default: "-"}} for what may be absent',
      exitCode: exitCodes.usage,
    });
  }
}

function checked(text: string): Format {
  if (text === 'table' || text === 'json' || /\{[{%]/.test(text)) return text;
  throw new InvalidArgumentError('It must be table, json, or a template with {{fields}}.');
}

/** Usage errors, which commander words, in the form of all other errors: `error: …`, and `hint: …` with what to do. */
import type { Writable } from 'node:stream';
import type { CommanderError, OutputConfiguration } from 'commander';
import { type CatalogEntry, catalog } from './catalog.ts';
import { hintForOption } from './habits.ts';
import { said } from './output.ts';

interface Output {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** For `configureOutput`: commander prints help to these streams, and no errors itself. */
export function usageOutput({ stdout, stderr }: Output): OutputConfiguration {
  return {
    writeOut: (text) => stdout.write(text),
    writeErr: (text) => stderr.write(text),
    outputError: () => undefined,
  };
}

/** The lines for stderr; empty where commander has printed what was asked for, such as help. */
export function describeUsage(error: CommanderError, args: readonly string[]): string {
  if (!error.message.startsWith('error: ')) return '';
  const [what = '', suggestion] = error.message.slice('error: '.length).split('\n');
  return said(what, 'error') + said(suggestion?.replace(/^\((.*)\)$/, '$1') ?? hintFor(error, args), 'hint');
}

function hintFor({ code, message }: CommanderError, args: readonly string[]): string {
  const entry = catalog.find(({ name, aliases }) => [name, ...aliases].includes(args[0] ?? ''));
  if (entry === undefined) return 'flotilla --help lists the commands';
  const flag = /^error: unknown option '(.*?)'/.exec(message)?.[1];
  const habit = flag === undefined ? null : hintForOption(flag);
  if (habit !== null) return habit;
  if (code === 'commander.unknownOption' && entry.hasWords)
    return `options of CMD follow it: flotilla ${entry.name} ${entry.terms}`;
  // A command that does not exist has no help.
  return `${helpOf(entry, code === 'commander.unknownCommand' ? [] : args)} explains it`;
}

/** The command that explains the given one: `flotilla images import --help`. */
export function helpOf({ name, terms, below: known }: CatalogEntry, args: readonly string[]): string {
  const [, below = ''] = args;
  const isBelow = known?.includes(below) ?? (terms === 'COMMAND' && /^[a-z]+$/.test(below));
  return `flotilla ${isBelow ? `${name} ${below}` : name} --help`;
}

/** Reads from the program which words can follow which; the completion scripts for shells are made from this. */
import type { Argument, Command, Option } from 'commander';

export const nameKinds = [
  'machines',
  'images',
  'templates',
  'snapshots',
  'keys',
  'operations',
  'profiles',
  'execs',
] as const;
/** Names that only the daemon knows, and those of profiles; ids of commands (`execs`) are those of the machine named before. */
export type NameKind = (typeof nameKinds)[number];

/** What a value can be; `free`: anything. */
export type Values =
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'names'; readonly of: NameKind }
  | { readonly kind: 'files' }
  | { readonly kind: 'free' };

export interface CompletedOption {
  /** As they are typed: `-n`, `--lines`. */
  readonly flags: readonly string[];
  readonly summary: string;
  /** Null: it takes no value. */
  readonly values: Values | null;
}

export interface Described {
  readonly name: string;
  readonly summary: string;
}

/** A command, by the words that lead to it. */
export interface Place {
  /** `keys create`; empty for the program. */
  readonly path: string;
  readonly commands: readonly Described[];
  readonly options: readonly CompletedOption[];
  readonly arguments: readonly Values[];
  /** Whether the last argument can be repeated. */
  readonly isLastRepeated: boolean;
}

const free: Values = { kind: 'free' };

/** Every command, the program first; those with aliases under each of their names. */
export function placesOf(program: Command): readonly Place[] {
  return below(program, []);
}

function below(command: Command, path: readonly string[]): Place[] {
  // What is typed without the name of a command below may be what the default one takes: `execs web`.
  const own = command.commands.find((child) => defaultOf(command) === child.name()) ?? command;
  const place: Place = {
    path: path.join(' '),
    commands: command.commands.flatMap((child) =>
      namesOf(child).map((name) => ({ name, summary: child.summary() || firstLine(child.description()) })),
    ),
    options: own.createHelp().visibleOptions(own).map(completedOption),
    arguments: own.registeredArguments.map(valuesOfArgument),
    isLastRepeated: own.registeredArguments.at(-1)?.variadic === true,
  };
  const children = command.commands.flatMap((child) =>
    namesOf(child).flatMap((name) => below(child, [...path, name])),
  );
  return [place, ...children];
}

/** Commander tells it nowhere else. */
function defaultOf(command: Command): string | null {
  return (command as unknown as { readonly _defaultCommandName: string | null })._defaultCommandName;
}

function namesOf(command: Command): readonly string[] {
  return [command.name(), ...command.aliases()];
}

function completedOption(option: Option): CompletedOption {
  const flags = [option.short, option.long].filter((flag) => flag !== undefined && flag !== null);
  const takesValue = option.required || option.optional;
  return { flags, summary: option.description, values: takesValue ? valuesOfOption(option) : null };
}

function valuesOfOption({ argChoices, flags }: Option): Values {
  if (argChoices !== undefined) return { kind: 'words', words: argChoices };
  const placeholder = /[<[](\w+)[>\]]/.exec(flags)?.[1] ?? '';
  return placeholder === 'path' ? { kind: 'files' } : (namesFor(placeholder) ?? free);
}

function valuesOfArgument(argument: Argument): Values {
  if (argument.argChoices !== undefined) return { kind: 'words', words: argument.argChoices };
  // Of `cp`, a file of a machine cannot be completed, one of this host can.
  if (['path', 'source', 'dest'].includes(argument.name())) return { kind: 'files' };
  return namesFor(argument.name()) ?? free;
}

/** A placeholder such as `<machine>` says whose name is wanted. */
function namesFor(placeholder: string): Values | null {
  const of = nameKinds.find((kind) => kind === `${placeholder}s`);
  return of === undefined ? null : { kind: 'names', of };
}

function firstLine(text: string): string {
  return text.split('\n')[0]?.replace(/\.$/, '') ?? '';
}

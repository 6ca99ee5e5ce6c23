/** What can be typed where, read off the program itself; the scripts for shells are made from it. */
import type { Argument, Command, Option } from 'commander';

export const nameKinds = ['machines', 'images', 'keys', 'operations', 'profiles'] as const;
/** Names that only the daemon knows, and those of profiles. */
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
  const place: Place = {
    path: path.join(' '),
    commands: command.commands.flatMap((child) =>
      namesOf(child).map((name) => ({ name, summary: child.summary() || firstLine(child.description()) })),
    ),
    options: command.createHelp().visibleOptions(command).map(completedOption),
    arguments: command.registeredArguments.map(valuesOfArgument),
    isLastRepeated: command.registeredArguments.at(-1)?.variadic === true,
  };
  const children = command.commands.flatMap((child) =>
    namesOf(child).flatMap((name) => below(child, [...path, name])),
  );
  return [place, ...children];
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
  if (argument.name() === 'path') return { kind: 'files' };
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

/** The layout of help, for the commands of the API (`program.ts`) and those of this host (`src/main/cli.ts`). */
import type { Argument, Command, Option } from 'commander';

/** Arguments and the values of options are in capitals, in usage, lists and descriptions alike. */
export function styleHelp(program: Command): Command {
  return program.helpOption('-h, --help', 'print this').configureHelp({
    ...program.configureHelp(),
    argumentTerm: capitals,
    optionTerm,
    showGlobalOptions: false,
  });
}

/** Sets what a command's usage says after its name; `terms` when they say more than its arguments. */
export function styleUsage(command: Command, terms = termsOf(command)): Command {
  return command.usage(`[options] ${terms}`.trimEnd());
}

/** For example `IMAGE [COMMAND…]`. */
export function termsOf({ registeredArguments }: Command): string {
  return registeredArguments
    .map((each) => (each.required ? capitals(each) : `[${capitals(each)}]`))
    .join(' ');
}

/** `-m, --memory <size>` as `-m, --memory SIZE`. */
function optionTerm({ flags }: Option): string {
  return flags.replace(
    /<(.+?)(\.\.\.)?>/,
    (_, value: string, more) => `${value.toUpperCase()}${more ? '…' : ''}`,
  );
}

function capitals(argument: Argument): string {
  return `${argument.name().toUpperCase()}${argument.variadic ? '…' : ''}`;
}

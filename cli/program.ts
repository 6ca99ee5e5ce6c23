/** The command line as a whole: its help, and the one command that was asked for. */
import { Command, type CommanderError } from 'commander';
import { type CatalogEntry, catalog } from './catalog.ts';
import type { Context, Streams } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { styleHelp, styleUsage, termsOf } from './help-style.ts';
import { hostCommand, isHostCommand } from './host-commands.ts';
import { usageOutput } from './usage.ts';
import { cliVersion } from './version.ts';

const environmentHelp = `
Environment:
  FLOTILLA_URL        address of the daemon (else the profile’s, else that of the
                      daemon on this host, else http://127.0.0.1:3000)
  FLOTILLA_KEY        API key (else the profile’s, for its address only; else
                      admin.key in the state directory, for this host’s daemon)
  FLOTILLA_PROFILE    name of the profile to use, or path of its file (else that
                      of flotilla profile use)
  FLOTILLA_STATE_DIR  state directory (/var/lib/flotilla for root, else
                      ~/.local/share/flotilla)

Examples:
  flotilla run busybox echo hello
  flotilla create debian-12 --name web --memory 1g --label team=blue --start
  flotilla exec web sh -c 'uname -a'
  flotilla cp notes.txt web:/root
  flotilla ls --filter label=team=blue
  flotilla env create -f env.yaml

flotilla COMMAND --help explains a command.`;

/** The entry whose command `args` ask for. */
export function findEntry(args: readonly string[]): CatalogEntry | undefined {
  const name = args.find((arg) => !arg.startsWith('-'));
  return catalog.find((entry) => name !== undefined && [entry.name, ...entry.aliases].includes(name));
}

/** The program with `loaded` in the places of their entries; every other command is there by name only. Prints to the streams. */
export function buildProgram(loaded: readonly Command[], streams: Streams): Command {
  const program = styleHelp(new Command('flotilla').configureHelp({ subcommandTerm }))
    .description('Fleets of microVMs on machines you own.')
    .usage('COMMAND [options]')
    .version(cliVersion(), '-V, --version', 'print the version of this program')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput(usageOutput(streams))
    .addHelpText('after', environmentHelp);
  for (const entry of catalog) {
    const found = loaded.find((command) => command.name() === entry.name);
    const command = found ?? named(entry);
    command.summary(entry.summary).aliases(entry.aliases).helpGroup(entry.group);
    if (command.description() === '') command.description(`${capitalised(entry.summary)}.`);
    program.addCommand(styleUsage(command, entry.terms));
    inherit(command, program);
  }
  return program;
}

/** The program with every command that is not the launcher's. */
export async function loadProgram(context: Context): Promise<Command> {
  const modules = await Promise.all(catalog.flatMap(({ load }) => (load === null ? [] : [load()])));
  return buildProgram(
    modules.map(({ define }) => define(context)),
    context.streams,
  );
}

/** The code for what commander throws instead of exiting: help and version that were asked for are no failures. */
export function exitCodeOfUsage(error: CommanderError): number {
  return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
}

/** A command that is only talked about. */
function named({ name }: CatalogEntry): Command {
  return (isHostCommand(name) ? hostCommand(name) : new Command(name)).action(() => undefined);
}

function inherit(command: Command, parent: Command): void {
  command.copyInheritedSettings(parent).helpCommand(false);
  for (const below of command.commands) {
    styleUsage(below);
    inherit(below, command);
  }
}

function subcommandTerm(command: Command): string {
  const entry = catalog.find(({ name }) => name === command.name());
  const isTop = command.parent !== null && command.parent.parent === null;
  const terms = isTop ? entry?.terms : termsOf(command);
  return [command.name(), terms ?? ''].join(' ').trimEnd();
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

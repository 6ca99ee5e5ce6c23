/** The command line as a whole: its help, and the one command that was asked for. */
import { Command } from 'commander';
import { type CatalogEntry, catalog } from './catalog.ts';
import { exitCodes } from './exit-codes.ts';
import { cliVersion } from './version.ts';

const environmentHelp = `
Environment:
  FLOTILLA_URL        address of the daemon (else the running daemon's, else http://127.0.0.1:3000)
  FLOTILLA_KEY        API key (else admin.key in the state directory)
  FLOTILLA_STATE_DIR  state directory (/var/lib/flotilla for root, else ~/.local/share/flotilla)

Examples:
  flotilla run busybox -- echo hello
  flotilla create debian-12 --name web --port 8080 --start
  flotilla exec web -- sh -c 'uname -a'

flotilla COMMAND --help tells more about one.`;

/** The entry whose command `args` ask for. */
export function findEntry(args: readonly string[]): CatalogEntry | undefined {
  const name = args.find((arg) => !arg.startsWith('-'));
  return catalog.find((entry) => entry.name === name);
}

/** The program with `loaded` in the place of its entry; every other command is there by name only. */
export function buildProgram(loaded: Command | null): Command {
  const program = new Command('flotilla')
    .description('Fleets of microVMs on machines you own.')
    .usage('COMMAND [options]')
    .version(cliVersion(), '-V, --version', 'print the version of this program')
    .helpOption('-h, --help', 'print this')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureHelp({ subcommandTerm, showGlobalOptions: false })
    .addHelpText('after', environmentHelp);
  for (const entry of catalog) {
    const command = entry.name === loaded?.name() ? loaded : new Command(entry.name).action(() => undefined);
    command.summary(entry.summary).helpGroup(entry.group).copyInheritedSettings(program);
    if (command.description() === '') command.description(`${capitalised(entry.summary)}.`);
    program.addCommand(command.usage(`[options] ${entry.terms}`.trimEnd()));
  }
  return program;
}

/** The code for what commander throws instead of exiting: help and version are no failures. */
export function exitCodeOfUsage(code: string): number {
  return /^commander\.(help|helpDisplayed|version)$/.test(code) ? exitCodes.ok : exitCodes.usage;
}

function subcommandTerm(command: Command): string {
  const terms = catalog.find((entry) => entry.name === command.name())?.terms ?? '';
  return `${command.name()} ${terms}`.trimEnd();
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `wait`: waits until a machine has a status. */
import { Command, Option } from 'commander';
import { FlotillaError, type Machine, type MachineStatus, machineStatuses } from '../../sdk/src/index.ts';
import type { Context } from '../context.ts';
import { CliError } from '../errors.ts';
import { addAlias } from '../option-aliases.ts';
import { wholeNumber } from '../options.ts';
import { json, line } from '../output.ts';
import { resolved } from '../resolve.ts';

interface WaitOptions {
  readonly status: MachineStatus;
  readonly timeout: number;
  readonly json?: true;
}

/** The API holds a request open for no longer. */
const secondsAtOnce = 30;

export function define(context: Context): Command {
  const command = new Command('wait')
    .description(
      'Wait until a machine has a status, and print its name.\n' +
        'Exits with 1 when the timeout passes first, or as soon as the machine fails.',
    )
    .argument('<machine>', 'id or name')
    .addOption(
      new Option('--status <status>', 'what to wait for').choices(machineStatuses).makeOptionMandatory(),
    )
    .option('--timeout <seconds>', 'give up after this long', wholeNumber(1, 86_400), 60)
    .option('--json', 'print the machine as the API gives it')
    .action(async (id: string, options: WaitOptions) => {
      const text = () => `waiting for ${id} to be ${options.status}`;
      const machine = await context.progress.during(text, () =>
        resolved(context, id, (machine) => waitFor(context, machine, options)),
      );
      await context.print(options.json ? json(machine) : line(machine.name));
    });
  return addAlias(command, '--status', '--state');
}

async function waitFor(context: Context, id: string, { status, timeout }: WaitOptions): Promise<Machine> {
  const { client, signal } = context;
  for (let left = timeout; left > 0; left -= secondsAtOnce) {
    try {
      const query = { status, timeout: Math.min(left, secondsAtOnce) };
      return await client.machines.wait(id, query, { signal });
    } catch (error) {
      if (!(error instanceof FlotillaError) || error.status !== 504) throw error;
    }
  }
  throw new CliError(`machine ${id} was not ${status} within ${timeout} s`, {
    hint: '--timeout allows more',
  });
}

/** Starts a command that outlives this process; a program that cannot be run has the exit code that a shell gives for it. */
import { FlotillaError, type StartExec, type StartedExec } from '../sdk/src/index.ts';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';

/** Throws CliError for a program that is not there, or is none. */
export async function startExec(context: Context, machine: string, request: StartExec): Promise<StartedExec> {
  const { client, signal } = context;
  try {
    return await client.execs.start(machine, request, { signal });
  } catch (error) {
    const { exit_code: exitCode } = (error instanceof FlotillaError ? (error.details ?? {}) : {}) as {
      readonly exit_code?: unknown;
    };
    if (!(error instanceof FlotillaError) || typeof exitCode !== 'number') throw error;
    throw new CliError(error.message, { exitCode });
  }
}

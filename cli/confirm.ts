/** Asks before something is lost. */
import { createInterface } from 'node:readline/promises';
import type { Context } from './context.ts';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';
import { printable } from './output.ts';
import { isTerminal } from './progress.ts';

/** Resolves when the answer is yes. Throws CliError when it is not, and where nobody can be asked. */
export async function confirm({ streams, signal }: Context, question: string): Promise<void> {
  if (!isTerminal(streams.stdin) || !isTerminal(streams.stderr)) {
    throw new CliError('there is no terminal to ask on', {
      hint: '--force removes without asking',
      exitCode: exitCodes.usage,
    });
  }
  const reader = createInterface({ input: streams.stdin, output: streams.stderr });
  try {
    const answer = await reader.question(`${printable(question)} [y/N] `, { signal });
    if (!/^y(es)?$/i.test(answer.trim())) throw new CliError('nothing was removed');
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    reader.close();
  }
}

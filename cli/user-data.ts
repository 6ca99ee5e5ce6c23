/** `--user-data`: a file with what a machine's guest does once, after its first start. */
import { isUtf8 } from 'node:buffer';
import { readFileSync, statSync } from 'node:fs';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';

/** The server takes no more. */
const userDataBytesMax = 64 * 1024;

/** Throws CliError for a file that cannot be read. */
export function readUserData(path: string): string {
  try {
    if (statSync(path).size > userDataBytesMax)
      throw new Error(`it is longer than ${userDataBytesMax} bytes`);
    const bytes = readFileSync(path);
    if (!isUtf8(bytes)) throw new Error('it is not UTF-8');
    return bytes.toString('utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(`the file of user data ${path} cannot be read: ${why}`, { exitCode: exitCodes.usage });
  }
}

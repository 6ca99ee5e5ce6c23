/** Public keys that are given to commands: in a file, or as the line itself. */
import { readFileSync } from 'node:fs';
import { CliError } from '../errors.ts';
import { exitCodes } from '../exit-codes.ts';

/** Throws CliError for what cannot be read, and for a private key, which is never sent. */
export function readPublicKeyFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    const message = `cannot read ${path}: ${(error as Error).message}`;
    throw new CliError(message, { exitCode: exitCodes.usage });
  }
  if (!text.includes('PRIVATE KEY')) return text;
  throw new CliError(`${path} holds a private key`, {
    hint: `give its public half: ${path}.pub`,
    exitCode: exitCodes.usage,
  });
}

/** A type of key, and what follows it: no name of a file begins so. */
const keyLine = /^(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+\s+\S/;

/** `given`: files with a key in each of their lines, or keys themselves. */
export function readPublicKeys(given: readonly string[]): string[] {
  return given.flatMap((each) => {
    const text = keyLine.test(each) ? each : readPublicKeyFile(each);
    const lines = text.split('\n').map((line) => line.trim());
    return lines.filter((line) => line !== '' && !line.startsWith('#'));
  });
}

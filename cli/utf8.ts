/**
 * Tells text that Node has read from this process's arguments or environment as it was given from text in which Node has
 * replaced bytes that are not UTF-8: a command with those would be another command than the user's.
 */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';

export type ProcessFile = 'cmdline' | 'environ';

const replacement = '\ufffd';

/** False as well when a replacement character cannot be told from a replaced byte, as on systems without /proc. */
export function isAsGiven(
  text: string,
  file: ProcessFile,
  read: (path: string) => Uint8Array = readFileSync,
): boolean {
  if (!text.includes(replacement)) return true;
  let given: Uint8Array;
  try {
    given = read(`/proc/self/${file}`);
  } catch {
    return false;
  }
  return isUtf8(given);
}

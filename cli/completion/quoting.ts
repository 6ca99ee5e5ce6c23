/** Quoting for the completion scripts of all shells. */
import type { Values } from './model.ts';

/** Quotes any text as one word for a POSIX shell. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** How the scripts write down what a value can be: `words a b`, `names machines`, `files` or `free`. */
export function valueWords(values: Values): string {
  if (values.kind === 'words') return `words ${values.words.join(' ')}`;
  return values.kind === 'names' ? `names ${values.of}` : values.kind;
}

/**
 * The keys that leave a command running: docker's `--detach-keys`, `ctrl-p,ctrl-q` unless something else is given. Used by
 * `session.ts`, which passes all that is typed through `DetachKeys`.
 */
import { InvalidArgumentError } from 'commander';

export const detachKeysDefault = 'ctrl-p,ctrl-q';
const keysMax = 16;

/**
 * The bytes of a sequence such as `ctrl-p,ctrl-q` or `ctrl-],d`: each key is one character, or `ctrl-` and a letter or one of
 * `@ [ \ ] ^ _`. Throws InvalidArgumentError.
 */
export function detachKeys(text: string): Uint8Array {
  const keys = text === '' ? [] : text.split(',');
  const bytes = keys.map(byteOf);
  const known = bytes.filter((byte) => byte !== null);
  if (known.length === 0 || known.length < keys.length || known.length > keysMax) {
    throw new InvalidArgumentError('It must look like ctrl-p,ctrl-q or ctrl-],d.');
  }
  return Uint8Array.from(known);
}

function byteOf(key: string): number | null {
  if (/^[\x21-\x7e]$/.test(key)) return key.charCodeAt(0);
  const [, control = ''] = /^ctrl-([a-z@[\\\]^_])$/i.exec(key) ?? [];
  return control === '' ? null : control.toUpperCase().charCodeAt(0) - 0x40;
}

export interface Typed {
  /** What the command gets. */
  readonly data: Uint8Array;
  /** Whether the sequence is complete; what was typed after it is dropped. */
  readonly isDetach: boolean;
}

/**
 * Finds a sequence of keys in what is typed. The beginning of a sequence is kept back until the next key tells whether it is
 * one, as docker does.
 */
export class DetachKeys {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  typed(data: Uint8Array): Typed {
    const passed: number[] = [];
    for (const byte of data) {
      while (this.#matched > 0 && byte !== this.#keys[this.#matched]) this.#giveBack(passed);
      if (byte === this.#keys[this.#matched]) this.#matched++;
      else passed.push(byte);
      if (this.#matched === this.#keys.length) {
        this.#matched = 0;
        return { data: Uint8Array.from(passed), isDetach: true };
      }
    }
    return { data: Uint8Array.from(passed), isDetach: false };
  }

  /** Passes on as much of the matched beginning as cannot belong to a sequence that starts later. */
  #giveBack(passed: number[]): void {
    const kept = this.#keys.subarray(0, this.#matched);
    for (let from = 1; from <= kept.length; from++) {
      const rest = kept.subarray(from);
      if (!rest.every((byte, index) => byte === this.#keys[index])) continue;
      passed.push(...kept.subarray(0, from));
      this.#matched = rest.length;
      return;
    }
  }
}

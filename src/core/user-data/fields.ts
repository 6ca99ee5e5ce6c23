/**
 * Readers of the values in user data. Each takes a value and what it is called, and raises `invalid` in words when
 * the value is something else.
 */
import type { AppError } from '../errors.ts';
import { shown, type YamlValue, yamlError } from './yaml.ts';

type Read<T> = (value: YamlValue, what: string) => T;
/** A reader for each key that is supported. */
export type Fields = Readonly<Record<string, (value: YamlValue, what: string) => void>>;

export function wrong(value: YamlValue, what: string, rule: string): AppError {
  return yamlError(value.line, `${what} ${rule}`);
}

/** Calls the reader of each key; a key without one is refused. */
export function readMap(value: YamlValue, what: string, fields: Fields): void {
  if (value.kind !== 'map') throw wrong(value, what, `must be a map of ${Object.keys(fields).join(', ')}`);
  for (const [key, entry] of value.entries) {
    const read = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (!read) {
      const known = Object.keys(fields).join(', ');
      throw yamlError(entry.line, `the key '${shown(key)}' is not supported; supported: ${known}`);
    }
    read(entry, key);
  }
}

export function readText(value: YamlValue, what: string): string {
  if (value.kind !== 'text') throw wrong(value, what, 'must be text');
  return value.text;
}

/** Text of one line that matches `pattern`. */
export function readWord(pattern: RegExp, rule: string): Read<string> {
  return (value, what) => {
    const text = readText(value, what);
    if (!pattern.test(text)) throw wrong(value, what, rule);
    return text;
  };
}

export function readFlag(value: YamlValue, what: string): boolean {
  const word = readText(value, what).toLowerCase();
  if (['true', 'yes', 'on'].includes(word)) return true;
  if (['false', 'no', 'off'].includes(word)) return false;
  throw wrong(value, what, 'must be true or false');
}

export function readList<T>(value: YamlValue, what: string, max: number, read: Read<T>): readonly T[] {
  if (value.kind !== 'list') throw wrong(value, what, 'must be a list');
  if (value.items.length > max) throw wrong(value, what, `must have at most ${max} items`);
  return value.items.map((item, index) => read(item, `item ${index + 1} of ${what}`));
}

/** A list, or one item without it. */
export function readSome<T>(value: YamlValue, what: string, max: number, read: Read<T>): readonly T[] {
  return value.kind === 'list' ? readList(value, what, max, read) : [read(value, what)];
}

const keyPattern =
  /^[^\p{Cc}\p{Zl}\p{Zp}]*\b(ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp\d+|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com) [A-Za-z0-9+/]{16,}={0,3}( [^\p{Cc}\p{Zl}\p{Zp}]*)?$/u;

/** A line of authorized_keys. */
export const isSshKey = (line: string): boolean => keyPattern.test(line);

export const sshKeysMax = 64;

export function readSshKeys(value: YamlValue, what: string): readonly string[] {
  return readList(value, what, sshKeysMax, (item, name) => {
    const line = readText(item, name).trim();
    if (!isSshKey(line))
      throw wrong(item, name, 'must be a public SSH key, such as `ssh-ed25519 AAAA… name`');
    return line;
  });
}

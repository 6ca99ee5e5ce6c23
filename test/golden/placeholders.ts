/**
 * Values that vary between runs: placeholders in expected bodies, and values captured from one answer for
 * later ones.
 */
import { readFileSync } from 'node:fs';

/** By name; `${name}` in any text of the same conversation inserts it. */
export type Captures = Map<string, string>;

const patterns: Readonly<Record<string, RegExp>> = {
  time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  id: /^[a-z0-9]{12}$/,
  vm: /^vm-[a-z0-9]{12}$/,
  hex: /^[0-9a-f]{12}$/,
  address: /^127\.0\.0\.1:\d+$/,
  ip: /^10\.77\.\d+\.\d+$/,
  mac: /^02:66:0a:4d:[0-9a-f]{2}:[0-9a-f]{2}$/,
  text: /./,
};
const numbers: Readonly<Record<string, (value: number) => boolean>> = {
  number: () => true,
  sshPort: (value) => Number.isInteger(value) && value >= 16_000 && value <= 26_000,
  // In seconds, from 2020 to 2100.
  unix: (value) => Number.isInteger(value) && value > 1_577_836_800 && value < 4_102_444_800,
};
/** With text before and after it: `vm_$id as web`, `/tmp/$hex.log`. */
const placeholder = new RegExp(
  `^([^$]*)\\$(${Object.keys({ ...numbers, ...patterns }).join('|')})(?: as (\\w+))?([^\\w$][^$]*)?$`,
);
const fileReference = /^\$file (\S+)$/;
const repository = new URL('../../', import.meta.url);

/** Inserts captured values into a text. Throws for an unknown name. */
export function fill(text: string, captures: Captures): string {
  return text.replace(/\$\{(\w+)\}/g, (whole, name: string) => {
    const value = captures.get(name);
    if (value === undefined) throw new Error(`nothing was captured for ${whole}`);
    return value;
  });
}

/** The same for every string in a JSON value. */
export function fillAll(value: unknown, captures: Captures): unknown {
  return mapTexts(value, (text) => fill(text, captures));
}

/**
 * The value that `actual` must equal: `expected` with each placeholder replaced by the actual value, if that
 * matches. Captures values as the placeholders request.
 */
export function settle(expected: unknown, actual: unknown, captures: Captures): unknown {
  if (typeof expected === 'string') return settleText(expected, actual, captures);
  if (Array.isArray(expected)) {
    const items: readonly unknown[] = Array.isArray(actual) ? actual : [];
    return expected.map((item, index) => settle(item, items[index], captures));
  }
  if (typeof expected !== 'object' || expected === null) return expected;
  const fields = typeof actual === 'object' && actual !== null ? (actual as Record<string, unknown>) : {};
  return Object.fromEntries(
    Object.entries(expected).map(([name, value]) => [name, settle(value, fields[name], captures)]),
  );
}

function settleText(expected: string, actual: unknown, captures: Captures): unknown {
  const path = fileReference.exec(expected)?.[1];
  if (path !== undefined) return JSON.parse(readFileSync(new URL(path, repository), 'utf8'));
  const [, before = '', kind, capture, after = ''] = placeholder.exec(expected) ?? [];
  const isNumber = numbers[kind ?? ''];
  if (isNumber !== undefined) return typeof actual === 'number' && isNumber(actual) ? actual : expected;
  if (kind === undefined) return fill(expected, captures);
  if (typeof actual !== 'string' || !actual.startsWith(before) || !actual.endsWith(after)) return expected;
  const value = actual.slice(before.length, actual.length - after.length);
  if (!patterns[kind]?.test(value)) return expected;
  if (capture !== undefined) captures.set(capture, value);
  return actual;
}

function mapTexts(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapTexts(item, map)]));
}

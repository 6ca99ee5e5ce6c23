/**
 * Values that vary between runs: placeholders in expected bodies, and values captured from one answer for
 * later ones.
 */

/** By name; `${name}` in any text of the same conversation inserts it. */
export type Captures = Map<string, string>;

const patterns: Readonly<Record<string, RegExp>> = {
  time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
  uuid: /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
  id: /^[a-z0-9]{12}$/,
};
const placeholder = /^\$(\w+)(?: as (\w+))?$/;

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

function settleText(expected: string, actual: unknown, captures: Captures): string | number {
  const [, kind, capture] = placeholder.exec(expected) ?? [];
  if (kind === 'number') return typeof actual === 'number' ? actual : expected;
  if (kind === undefined) return fill(expected, captures);
  const pattern = patterns[kind];
  if (pattern === undefined) throw new Error(`no placeholder is called $${kind}`);
  if (typeof actual !== 'string' || !pattern.test(actual)) return expected;
  if (capture !== undefined) captures.set(capture, actual);
  return actual;
}

function mapTexts(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapTexts(item, map)]));
}

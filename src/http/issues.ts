/** Describes what is wrong with a request, from the first issue that a schema reports. Pure. */
import type { z } from 'zod';

/** The first problem of a body or query, as shown to callers: `vcpu_count must be at least 1`. */
export function describeIssue(error: z.core.$ZodError, input: unknown): string {
  const first = error.issues[0];
  if (!first) return 'the request is invalid';
  const issue = { ...first, path: givenPath(first.path, input) };
  return describe(issue, nameOf(issue.path), input);
}

/** The path without the index of an only value: a repeatable parameter that is given once is read as a list. */
function givenPath(path: readonly PropertyKey[], input: unknown): PropertyKey[] {
  const parent = path.slice(0, -1);
  const isOnly = typeof path.at(-1) === 'number' && typeof valueAt(input, parent) === 'string';
  return isOnly ? parent : [...path];
}

function nameOf(path: readonly PropertyKey[]): string {
  return path.map(String).join('.') || 'the body';
}

function describe(issue: z.core.$ZodIssue, name: string, input: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      if (isMissing(issue, input)) return `${name} is required`;
      return `${name} must be ${article(issue.expected)}`;
    case 'too_small':
      if (issue.origin === 'string') return `${name} must not be empty`;
      if (issue.origin === 'array') return `${name} must not be empty`;
      return `${name} must be at least ${issue.minimum}`;
    case 'too_big':
      if (issue.origin === 'string') return `${name} must have at most ${issue.maximum} characters`;
      if (issue.origin === 'array') return `${name} must have at most ${issue.maximum} items`;
      return `${name} must be at most ${issue.maximum}`;
    case 'invalid_value':
      if (valueAt(input, issue.path) === undefined) return `${name} is required`;
      return `${name} must be one of: ${issue.values.map(String).join(', ')}`;
    case 'invalid_key': {
      const [first] = issue.issues;
      const wrong = first ? describe(first, 'a key', input) : 'a key is invalid';
      return `${nameOf(issue.path.slice(0, -1))}: ${wrong}`;
    }
    case 'unrecognized_keys':
      return located(issue.path, issue.message);
    default:
      return /^(must|is) /.test(issue.message) ? `${name} ${issue.message}` : `${name}: ${issue.message}`;
  }
}

/** Of an object within the body, with where that is. */
function located(path: readonly PropertyKey[], message: string): string {
  return path.length === 0 ? message : `${nameOf(path)}: ${message}`;
}

/** Zod's own message tells it of a field that was read under another name. */
function isMissing({ path, message }: z.core.$ZodIssue, input: unknown): boolean {
  const received = /received (\w+)$/.exec(message)?.[1];
  return received === undefined ? valueAt(input, path) === undefined : received === 'undefined';
}

function article(expected: string): string {
  // The schemas have no other numbers.
  if (expected === 'number' || expected === 'int') return 'an integer';
  if (expected === 'boolean') return 'true or false';
  if (expected === 'array' || expected === 'object') return `an ${expected}`;
  if (expected === 'record') return 'an object';
  return `a ${expected}`;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

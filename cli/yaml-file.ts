/** A YAML file that must fit a schema. What is wrong with it is said with the line, in words for people. */
import { readFileSync, statSync } from 'node:fs';
import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { CliError } from './errors.ts';
import { exitCodes } from './exit-codes.ts';

const fileBytesMax = 1024 * 1024;
const aliasesMax = 100;

/** Where something is: the keys that lead there. */
export type Place = readonly PropertyKey[];

/** The fields that a group of them may have, by its place. */
export type FieldsAt = (place: Place) => readonly string[];

interface Source {
  readonly document: Document;
  readonly lines: LineCounter;
  readonly fieldsAt: FieldsAt;
}

export class YamlFile<T> {
  readonly path: string;
  readonly content: T;
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #fieldsAt: FieldsAt;

  /** Throws CliError for a file that cannot be read, is no YAML, or does not fit. */
  static read<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    fieldsAt: FieldsAt,
  ): YamlFile<z.infer<Schema>> {
    const lines = new LineCounter();
    const document = parseDocument(readText(path), { lineCounter: lines });
    const [broken] = document.errors;
    if (broken) {
      const words = broken.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '');
      throw refusal(path, broken.linePos?.[0].line ?? null, words ?? 'it is not YAML');
    }
    const value: unknown = document.toJS({ maxAliasCount: aliasesMax });
    const parsed = schema.safeParse(value);
    const file = new YamlFile(path, parsed.data as z.infer<Schema>, { document, lines, fieldsAt });
    const lost = placeOfPrototype(value);
    if (lost !== null) throw file.refuse(lost, 'is a name that nothing can have');
    if (parsed.success) return file;
    throw file.#wrong(parsed.error);
  }

  private constructor(path: string, content: T, { document, lines, fieldsAt }: Source) {
    this.path = path;
    this.content = content;
    this.#document = document;
    this.#lines = lines;
    this.#fieldsAt = fieldsAt;
  }

  /** The error for something that is wrong at a place. */
  refuse(place: Place, why: string, hint?: string): CliError {
    const subject = place.length === 0 ? '' : `${place.map(String).join('.')} `;
    return refusal(this.path, this.#lineOf(place), `${subject}${why}`, hint);
  }

  #wrong({ issues }: z.ZodError): CliError {
    // A misspelt field is often the reason why another is missing.
    const first = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
    if (first === undefined) throw new Error('an error without an issue');
    const issue = deepest(first);
    if (issue.code !== 'unrecognized_keys') {
      const isMissing = issue.code === 'invalid_type' && !this.#document.hasIn(issue.path);
      return this.refuse(issue.path, isMissing ? 'is required' : rule(issue));
    }
    const [key = ''] = issue.keys;
    const hint = `The fields here are ${this.#fieldsAt(issue.path).join(', ')}.`;
    return this.refuse([...issue.path, key], 'is not a field', hint);
  }

  /** The line of the last key on the way that is there. */
  #lineOf(place: Place): number {
    let node: unknown = this.#document.contents;
    let offset = rangeOf(node) ?? 0;
    for (const part of place) {
      const [key, value] = isMap(node)
        ? pairOf(node.items, part)
        : [isSeq(node) ? node.items[Number(part)] : null, isSeq(node) ? node.items[Number(part)] : null];
      const next = rangeOf(key);
      if (next === null) break;
      offset = next;
      node = value;
    }
    return this.#lines.linePos(offset).line;
  }
}

/** Where a field is called `__proto__`, which a schema would leave out without a word; null: nowhere. */
function placeOfPrototype(value: unknown, place: Place = []): Place | null {
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, each] of Object.entries(value)) {
    const here = [...place, key];
    const found = key === '__proto__' ? here : placeOfPrototype(each, here);
    if (found !== null) return found;
  }
  return null;
}

function pairOf(items: readonly { readonly key: unknown; readonly value: unknown }[], name: PropertyKey) {
  const pair = items.find(({ key }) => isScalar(key) && String(key.value) === String(name));
  return [pair?.key ?? null, pair?.value ?? null] as const;
}

function rangeOf(node: unknown): number | null {
  return isNode(node) ? ((node as Node).range?.[0] ?? null) : null;
}

/** Of a value that may be one of several things, or of a key: the issue that says what is wrong with it. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_key') return issue;
  const [inner] = issue.issues;
  return inner === undefined ? issue : { ...inner, path: issue.path };
}

const kinds: Readonly<Record<string, string>> = {
  object: 'a group of fields',
  record: 'a group of fields',
  array: 'a list',
  string: 'text',
  int: 'a whole number',
  number: 'a whole number',
};

function rule(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${kinds[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be one of: ${issue.values.join(', ')}`;
    case 'too_small':
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

function readText(path: string): string {
  try {
    if (statSync(path).size > fileBytesMax) throw new Error(`it is longer than ${fileBytesMax} bytes`);
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw refusal(path, null, error instanceof Error ? error.message : String(error));
  }
}

function refusal(path: string, line: number | null, why: string, hint?: string): CliError {
  return new CliError(`${path}${line === null ? '' : `, line ${line}`}: ${why}`, {
    exitCode: exitCodes.usage,
    ...(hint ? { hint } : {}),
  });
}

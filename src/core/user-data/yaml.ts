/**
 * Reads YAML into texts, lists and maps that know their line, with limits on everything that grows. Every scalar
 * stays the text that was written: `0644`, `yes` and `5` are for the caller to interpret.
 */
import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
} from 'yaml';
import { AppError } from '../errors.ts';

export type YamlValue =
  | { readonly kind: 'text'; readonly text: string; readonly line: number }
  | { readonly kind: 'list'; readonly items: readonly YamlValue[]; readonly line: number }
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, YamlValue>; readonly line: number };

/** The parser takes up to 50 µs for each; the largest useful texts have a few thousand. */
const lexemesMax = 10_000;
/** Nesting of the parser's tokens; user data needs fewer than 20. The composer is recursive. */
const depthMax = 64;
/** Values and their characters, with aliases replaced by what they stand for. */
const valuesMax = 10_000;
const charactersMax = 256 * 1024;

/** Raises `invalid`, naming the line. */
export function readYaml(text: string): YamlValue {
  const lines = new LineCounter();
  const document = compose(text, lines);
  const [problem] = [...document.errors, ...document.warnings];
  if (problem) throw yamlError(lines.linePos(problem.pos[0]).line, firstSentence(problem.message));
  return new Reader(lines).read(document.contents, 0);
}

/** An error of user data, with its line. */
const supportedHint = 'docs/user-data.md shows what user data may say.';

export function yamlError(line: number, reason: string): AppError {
  return new AppError('invalid', `user data, line ${line}: ${reason}`, { hint: supportedHint });
}

/** Stops at the first token that is wrong, because a broken text can have one per character. */
function compose(text: string, lines: LineCounter): Document {
  const composer = new Composer({ schema: 'failsafe', uniqueKeys: false, logLevel: 'silent' });
  const documents: Document[] = [];
  for (const token of tokensOf(text, lines)) {
    const { line } = lines.linePos('offset' in token ? token.offset : 0);
    if (token.type === 'error') throw yamlError(line, firstSentence(token.message));
    if (token.type === 'directive') throw yamlError(line, 'directives of YAML are not supported');
    documents.push(...composer.next(token));
  }
  documents.push(...composer.end(true, text.length));
  const [first, second] = documents;
  if (second)
    throw yamlError(lines.linePos(second.range?.[0] ?? 0).line, 'there must be only one YAML document');
  return first as Document;
}

function* tokensOf(text: string, lines: LineCounter): Generator<CST.Token> {
  lines.addNewLine(0);
  const parser = new Parser(lines.addNewLine);
  let offset = 0;
  let count = 0;
  for (const lexeme of new Lexer().lex(text)) {
    offset += lexeme.length;
    count += 1;
    yield* parser.next(lexeme);
    const isTooDeep = parser.stack.length > depthMax;
    if (isTooDeep || count > lexemesMax)
      throw yamlError(lines.linePos(offset).line, isTooDeep ? tooDeep : `it has over ${lexemesMax} parts`);
  }
  yield* parser.end();
}

const tooDeep = 'it is nested too deeply';

class Reader {
  readonly #lines: LineCounter;
  readonly #anchors = new Map<string, unknown>();
  #isInAlias = false;
  #values = 0;
  #characters = 0;

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  read(node: unknown, depth: number): YamlValue {
    const line = this.#lineOf(node);
    this.#values += 1;
    if (this.#values > valuesMax) throw yamlError(line, `it has more than ${valuesMax} values`);
    if (depth > depthMax) throw yamlError(line, tooDeep);
    if (isAlias(node)) return this.#resolved(node.source, line, depth);
    const { anchor } = Object(node) as { readonly anchor?: string };
    // Of two anchors with a name, the later one counts from where it stands.
    if (anchor !== undefined && !this.#isInAlias) this.#anchors.set(anchor, node);
    if (isSeq(node))
      return { kind: 'list', items: node.items.map((item) => this.read(item, depth + 1)), line };
    if (isMap(node)) return { kind: 'map', entries: this.#entries(node.items, depth), line };
    return { kind: 'text', text: this.#text(node, line), line };
  }

  /** Read again at each use, so that the limits count what an alias stands for. */
  #resolved(name: string, line: number, depth: number): YamlValue {
    if (!this.#anchors.has(name)) throw yamlError(line, `there is no anchor '${shown(name)}' before`);
    const isNested = this.#isInAlias;
    this.#isInAlias = true;
    try {
      return this.read(this.#anchors.get(name), depth + 1);
    } finally {
      this.#isInAlias = isNested;
    }
  }

  #entries(
    pairs: readonly { readonly key: unknown; readonly value: unknown }[],
    depth: number,
  ): ReadonlyMap<string, YamlValue> {
    const entries = new Map<string, YamlValue>();
    for (const { key, value } of pairs) {
      const line = this.#lineOf(key);
      if (!isScalar(key)) throw yamlError(line, 'a key must be plain text');
      const name = this.#text(key, line);
      if (entries.has(name)) throw yamlError(line, `the key '${shown(name)}' is there twice`);
      entries.set(name, this.read(value, depth + 1));
    }
    return entries;
  }

  #text(node: unknown, line: number): string {
    const text = isScalar(node) ? (node.value ?? '') : '';
    if (typeof text !== 'string') throw yamlError(line, 'tags such as !!binary are not supported');
    this.#characters += text.length;
    if (this.#characters > charactersMax)
      throw yamlError(line, `it has more than ${charactersMax} characters with its aliases replaced`);
    if (text.includes('\0') || !text.isWellFormed())
      throw yamlError(line, 'text must not contain NUL or half a character; use base64 for such content');
    return text;
  }

  #lineOf(node: unknown): number {
    const { range } = Object(node) as { readonly range?: readonly number[] | null };
    return this.#lines.linePos(range?.[0] ?? 0).line;
  }
}

/** A name in a message: bounded and on one line. */
export function shown(name: string): string {
  return oneLine(name).slice(0, 60);
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

function firstSentence(message: string): string {
  return oneLine(message.split(/\n| at line /)[0] ?? message).slice(0, 200);
}

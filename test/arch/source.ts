/**
 * Reads TypeScript just well enough to find its imports and calls: comments and the insides of strings, templates and
 * regular expressions become spaces, so that what is left at a position is code. No parser, no dependency.
 */

export interface ImportRecord {
  /** Null when the path is computed. */
  readonly specifier: string | null;
  /** Gone at run time. */
  readonly isTypeOnly: boolean;
}

/** The same text, of the same length, with everything that is not code blanked; quotes stay. */
export function blankNonCode(source: string): string {
  return new Blanker(source).run();
}

const importFrom = /\b(?:import|export)\b(\s+type\b)?[\w$\s{},*]*?\bfrom\s*(?=['"])/g;
const bareImport = /\bimport\s*(?=['"])/g;
/** Not a method of that name, called or declared. */
const dynamicImport = /(?<!\.)\bimport\s*\((?!\s*\w+\??:)\s*/g;

/** Every import, re-export and dynamic import, in no particular order. */
export function scanImports(source: string, code = blankNonCode(source)): readonly ImportRecord[] {
  const literalAt = (index: number): string | null => {
    const quote = code[index];
    if (quote !== "'" && quote !== '"') return null;
    const end = code.indexOf(quote, index + 1);
    return end === -1 ? null : source.slice(index + 1, end);
  };
  const records: ImportRecord[] = [];
  for (const match of code.matchAll(importFrom))
    records.push({ specifier: literalAt(match.index + match[0].length), isTypeOnly: match[1] !== undefined });
  for (const pattern of [bareImport, dynamicImport])
    for (const match of code.matchAll(pattern))
      records.push({ specifier: literalAt(match.index + match[0].length), isTypeOnly: false });
  return records;
}

/** After these a slash begins a regular expression; after anything else it divides. */
const beforeRegex =
  /(?:^|[(,=:[!&|?{;+\-*%<>~^]|\b(?:return|typeof|case|in|of|await|throw|void|delete|else|do))\s*$/;

class Blanker {
  readonly #source: string;
  #out = '';
  #at = 0;
  /** One entry for each template whose `${…}` we are in: how many braces are open inside it. */
  readonly #templates: number[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  run(): string {
    if (this.#source.startsWith('#!')) this.#blankTo(this.#lineEnd(0));
    while (this.#at < this.#source.length) this.#step();
    return this.#out;
  }

  #step(): void {
    const character = this.#source[this.#at] ?? '';
    const pair = this.#source.slice(this.#at, this.#at + 2);
    if (pair === '//') this.#blankTo(this.#lineEnd(this.#at));
    else if (pair === '/*') this.#blankTo(this.#after('*/', this.#at + 2));
    else if (character === "'" || character === '"') this.#string(character);
    else if (character === '`') this.#template();
    else if (character === '/' && beforeRegex.test(this.#out.slice(-40))) this.#regex();
    else this.#brace(character);
  }

  #brace(character: string): void {
    const depth = this.#templates.at(-1);
    if (depth !== undefined && character === '{') this.#templates[this.#templates.length - 1] = depth + 1;
    if (depth !== undefined && character === '}') {
      if (depth === 0) {
        this.#templates.pop();
        this.#template();
        return;
      }
      this.#templates[this.#templates.length - 1] = depth - 1;
    }
    this.#copy();
  }

  /** From an opening quote to past the closing one; a string that is not closed ends with its line. */
  #string(quote: string): void {
    this.#copy();
    while (this.#at < this.#source.length) {
      const character = this.#source[this.#at];
      if (character === '\n') return;
      if (character === quote) {
        this.#copy();
        return;
      }
      this.#blankTo(this.#at + (character === '\\' ? 2 : 1));
    }
  }

  /** From a backtick, or the brace that closes `${`, to past the closing backtick or the next `${`. */
  #template(): void {
    this.#copy();
    while (this.#at < this.#source.length) {
      const character = this.#source[this.#at];
      if (character === '`') {
        this.#copy();
        return;
      }
      if (character === '$' && this.#source[this.#at + 1] === '{') {
        this.#blankTo(this.#at + 1);
        this.#copy();
        this.#templates.push(0);
        return;
      }
      this.#blankTo(this.#at + (character === '\\' ? 2 : 1));
    }
  }

  #regex(): void {
    const line = this.#source.slice(this.#at, this.#lineEnd(this.#at));
    const literal = /^\/(?:\\.|\[(?:\\.|[^\]\\])*\]|[^/\\[])+\//.exec(line)?.[0];
    this.#copy();
    if (literal === undefined) return;
    this.#blankTo(this.#at + literal.length - 2);
    this.#copy();
  }

  #copy(): void {
    this.#out += this.#source[this.#at] ?? '';
    this.#at += 1;
  }

  #blankTo(end: number): void {
    this.#out += this.#source.slice(this.#at, end).replace(/[^\n]/g, ' ');
    this.#at = Math.min(end, this.#source.length);
  }

  #lineEnd(from: number): number {
    const end = this.#source.indexOf('\n', from);
    return end === -1 ? this.#source.length : end;
  }

  #after(text: string, from: number): number {
    const found = this.#source.indexOf(text, from);
    return found === -1 ? this.#source.length : found + text.length;
  }
}

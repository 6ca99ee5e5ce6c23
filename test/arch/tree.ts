/** The repository's sources as the checker sees them: paths and texts, nothing else. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { blankNonCode, type ImportRecord, scanImports } from './source.ts';

export interface SourceFile {
  /** From the repository's root, with forward slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with everything but code blanked; empty for what is no TypeScript. */
  readonly code: string;
  readonly imports: readonly ImportRecord[];
}

export type SourceTree = ReadonlyMap<string, SourceFile>;

/** A tree from paths and texts. */
export function treeOf(texts: Iterable<readonly [path: string, text: string]>): SourceTree {
  const files = new Map<string, SourceFile>();
  for (const [path, text] of texts) {
    const code = path.endsWith('.ts') ? blankNonCode(text) : '';
    const imports = path.endsWith('.ts') ? scanImports(text, code) : [];
    files.set(path, { path, text, code, imports });
  }
  return files;
}

/** Every source file under `folders` of the repository. */
export function readTree(root: string, folders: readonly string[]): SourceTree {
  const paths = folders.flatMap((folder) => sourcesUnder(root, folder)).sort();
  return treeOf(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')] as const));
}

function sourcesUnder(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : sourcesUnder(root, path);
    return /\.(ts|go)$/.test(entry.name) ? [path] : [];
  });
}

/** Whether `path` is `place` or lies in it. */
export function isWithin(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`);
}

/** Tests, contract suites, and the helpers in `testing/` and `testing.ts`: they may reach where the code they test may not. */
export function isTestSupport(path: string): boolean {
  return /\.(?:test|contract)\.ts$|(?:^|\/)testing(?:\/|\.ts$)/.test(path) || isWithin(path, 'test');
}

/** Where an import of our own leads; null for packages and built-in modules. */
export function resolveImport(from: string, specifier: string): string | null {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : null;
}

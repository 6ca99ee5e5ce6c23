/** Holds a source tree against the rules. Pure: trees may come from the disk or from a test. */
import type { HeaderRule, NameRule, RoomRule, Rules, SizeRule, WordRule } from './rules.ts';
import { isTestSupport, isWithin, resolveImport, type SourceFile, type SourceTree } from './tree.ts';

export interface Violation {
  readonly path: string;
  readonly what: string;
  readonly reason: string;
}

export function formatViolations(violations: readonly Violation[]): string {
  return violations.map(({ path, what, reason }) => `${path}: ${what}\n    because ${reason}`).join('\n');
}

/** Every breach of every rule, and every rule that speaks of something that is gone. */
export function check(tree: SourceTree, rules: Rules): readonly Violation[] {
  const files = [...tree.values()];
  const typeScript = files.filter(({ path }) => path.endsWith('.ts'));
  return [
    ...checkRulesExist(tree, rules),
    ...typeScript.flatMap((file) => checkImports(file, tree, rules)),
    ...rules.reaches.flatMap((rule) => checkReach(rule.folder, rule.builtins, rule.reason, tree)),
    ...rules.words.flatMap((rule) => typeScript.flatMap((file) => checkWords(file, rule))),
    ...rules.names.flatMap((rule) => typeScript.flatMap((file) => checkName(file, rule))),
    ...files.flatMap((file) => [...checkSize(file, rules.size), ...checkPromises(file)]),
    ...typeScript.flatMap((file) => checkHeader(file, rules.headers)),
    ...checkPackageComments(files, rules.headers),
  ];
}

/** A rule about a folder that is gone checks nothing and hides that. */
function checkRulesExist(tree: SourceTree, rules: Rules): readonly Violation[] {
  const named = [
    ...rules.rooms.flatMap(({ folder, ours }) => [folder, ...(ours === 'any' ? [] : ours)]),
    ...rules.siblings.map(({ within }) => within),
    ...rules.reaches.map(({ folder }) => folder),
    ...[...rules.words, ...rules.names, rules.headers].flatMap(({ folders, except }) => [
      ...folders,
      ...except,
    ]),
    ...rules.size.except.map(({ path }) => path),
  ];
  const paths = [...tree.keys()];
  return [...new Set(named)]
    .filter((place) => !paths.some((path) => isWithin(path, place)))
    .map((place) => ({
      path: place,
      what: 'a rule names it, and there is no source there',
      reason: 'a rule about nothing protects nothing; change the rule with the folder',
    }));
}

function checkImports(file: SourceFile, tree: SourceTree, rules: Rules): readonly Violation[] {
  const room = rules.rooms
    .filter(({ folder }) => isWithin(file.path, folder))
    .reduce<RoomRule | null>((a, b) => (a === null || b.folder.length > a.folder.length ? b : a), null);
  if (room === null) {
    const reason = 'every folder has a rule for what it may import';
    return [{ path: file.path, what: 'belongs to no room', reason }];
  }
  return file.imports.flatMap(({ specifier }) => {
    if (specifier === null) return computedImport(file);
    const target = resolveImport(file.path, specifier);
    return target === null
      ? checkForeignImport(file, specifier, room)
      : checkOwnImport(file, target, room, tree, rules);
  });
}

function computedImport({ path }: SourceFile): readonly Violation[] {
  if (isTestSupport(path)) return [];
  return [{ path, what: 'imports a computed path', reason: 'an import that nobody can see obeys no rule' }];
}

function checkOwnImport(
  file: SourceFile,
  target: string,
  room: RoomRule,
  tree: SourceTree,
  rules: Rules,
): readonly Violation[] {
  const violation = (what: string, reason: string) => [{ path: file.path, what, reason }];
  if (!tree.has(target)) return violation(`imports ${target}, which is not there`, 'imports name a file');
  if (isTestSupport(file.path)) return [];
  if (isTestSupport(target))
    return violation(`imports ${target}`, 'what is made for tests is not there in production');
  const isMain = isWithin(target, 'src/main') && !isWithin(file.path, 'src/main');
  if (isMain && !isWithin(file.path, 'bench'))
    return violation(`imports ${target}`, 'main knows every room, so nothing but tests and bench knows main');
  const isAllowed =
    room.ours === 'any' || [room.folder, ...room.ours].some((place) => isWithin(target, place));
  if (!isAllowed) return violation(`imports ${target}`, room.reason);
  return rules.siblings.flatMap(({ within, reason }) => {
    const [own, other] = [childOf(within, file.path), childOf(within, target)];
    return own !== null && other !== null && own !== other ? violation(`imports ${target}`, reason) : [];
  });
}

/** The folder directly inside `within` that holds the path; null when it lies elsewhere or directly in it. */
function childOf(within: string, path: string): string | null {
  if (!isWithin(path, within)) return null;
  const [child, ...rest] = path.slice(within.length + 1).split('/');
  return child === undefined || rest.length === 0 ? null : child;
}

function checkForeignImport(file: SourceFile, specifier: string, room: RoomRule): readonly Violation[] {
  if (isTestSupport(file.path)) return [];
  const isBuiltin = specifier.startsWith('node:');
  const name = isBuiltin ? specifier : packageName(specifier);
  const allowed = isBuiltin ? room.builtins : room.packages;
  if (allowed === 'any' || allowed.includes(name)) return [];
  return [{ path: file.path, what: `imports ${specifier}`, reason: room.reason }];
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

function checkReach(
  folder: string,
  builtins: readonly string[],
  reason: string,
  tree: SourceTree,
): readonly Violation[] {
  /** From a file to the one that imported it first. */
  const importers = new Map<string, string | null>();
  const queue = [...tree.keys()].filter((path) => isWithin(path, folder) && !isTestSupport(path));
  for (const path of queue) importers.set(path, null);
  const violations: Violation[] = [];
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const { specifier, isTypeOnly } of tree.get(path)?.imports ?? []) {
      if (specifier === null || isTypeOnly) continue;
      const target = resolveImport(path, specifier);
      if (target !== null && tree.has(target) && !importers.has(target)) {
        importers.set(target, path);
        queue.push(target);
      }
      if (specifier.startsWith('node:') && !builtins.includes(specifier) && !isWithin(path, folder)) {
        const chain = chainTo(path, importers);
        violations.push({
          path: chain[0] ?? path,
          what: `reaches ${[...chain.slice(1), specifier].join(' → ')}`,
          reason,
        });
      }
    }
  }
  return violations;
}

function chainTo(path: string, importers: ReadonlyMap<string, string | null>): readonly string[] {
  const importer = importers.get(path);
  return typeof importer === 'string' ? [...chainTo(importer, importers), path] : [path];
}

function checkWords({ path, code }: SourceFile, rule: WordRule): readonly Violation[] {
  if (isTestSupport(path) || !covers(rule, path)) return [];
  return code.split('\n').flatMap((line, index) => {
    const word = rule.pattern.exec(line)?.[0];
    return word === undefined ? [] : [{ path, what: `line ${index + 1} says ${word}`, reason: rule.reason }];
  });
}

function checkName({ path }: SourceFile, rule: NameRule): readonly Violation[] {
  if (!covers(rule, path) || rule.pattern.test(path)) return [];
  return [{ path, what: 'is not a name for a file here', reason: rule.reason }];
}

function covers({ folders, except }: WordRule | NameRule | HeaderRule, path: string): boolean {
  return folders.some((folder) => isWithin(path, folder)) && !except.some((place) => isWithin(path, place));
}

function checkSize({ path, text }: SourceFile, rule: SizeRule): readonly Violation[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  const isTest = isTestSupport(path) || path.endsWith('_test.go');
  const linesMax = isTest ? rule.testLinesMax : rule.linesMax;
  if (lines <= linesMax || rule.except.some((listed) => isWithin(path, listed.path))) return [];
  return [{ path, what: `has ${lines} lines, more than ${linesMax}`, reason: rule.reason }];
}

/** A comment with at least two words; an interpreter's or a compiler's line may come before it. */
const header = /^(?:(?:#!|\/\/\/).*\n)*(?:\/\*\*?|\/\/)[\s*]*[^\s*/]\S*\s+(?!\*\/)\S/;

/** Test files are described by the names of their tests. */
function checkHeader({ path, text }: SourceFile, rule: HeaderRule): readonly Violation[] {
  const isTest = /\.(?:test|contract)\.ts$/.test(path);
  if (isTest || !covers(rule, path) || header.test(text)) return [];
  return [{ path, what: 'does not begin with a comment', reason: rule.reason }];
}

/** In Go one file of each folder describes the package: `// Package link is …` or `// Command guest-agent is …`. */
function checkPackageComments(files: readonly SourceFile[], rule: HeaderRule): readonly Violation[] {
  const sources = files.filter(({ path }) => /(?<!_test)\.go$/.test(path) && covers(rule, path));
  const folders = new Set(sources.map(({ path }) => path.slice(0, path.lastIndexOf('/'))));
  return [...folders]
    .filter((folder) => !sources.some(({ path, text }) => describesPackage(folder, path, text)))
    .map((folder) => ({ path: folder, what: 'has no package comment', reason: rule.reason }));
}

function describesPackage(folder: string, path: string, text: string): boolean {
  return path.slice(0, path.lastIndexOf('/')) === folder && /^\/\/ (?:Package|Command) \S+ \S/m.test(text);
}

/** Put together here, or this file would break its own rule. */
const promise = new RegExp(`\\b${['TO', 'DO'].join('')}\\b|\\b${['FIX', 'ME'].join('')}\\b`);

function checkPromises({ path, text }: SourceFile): readonly Violation[] {
  return text.split('\n').flatMap((line, index) => {
    const word = promise.exec(line)?.[0];
    if (word === undefined) return [];
    const reason = 'what is to be done is done, or is an issue; a note in the code is neither';
    return [{ path, what: `line ${index + 1} says ${word}`, reason }];
  });
}

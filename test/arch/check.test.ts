import { describe, expect, it } from 'vitest';
import { check, formatViolations } from './check.ts';
import { type Rules, rules as realRules } from './rules.ts';
import { treeOf } from './tree.ts';

const rules: Rules = {
  rooms: [
    { folder: 'src/lib', ours: [], builtins: 'any', packages: [], reason: 'lib is alone' },
    { folder: 'src/core', ours: ['src/lib'], builtins: ['node:path'], packages: [], reason: 'core is pure' },
    { folder: 'src/core/ports', ours: [], builtins: [], packages: [], reason: 'ports are types' },
    {
      folder: 'src/http',
      ours: ['src/core', 'src/lib'],
      builtins: 'any',
      packages: ['hono', '@hono/node-server'],
      reason: 'http translates',
    },
    { folder: 'src/main', ours: ['src'], builtins: 'any', packages: 'any', reason: 'main joins' },
    { folder: 'bench', ours: ['src'], builtins: 'any', packages: 'any', reason: 'bench measures' },
    { folder: 'test', ours: 'any', builtins: 'any', packages: 'any', reason: 'tests look everywhere' },
  ],
  siblings: [{ within: 'src/http/dialects', reason: 'dialects are apart' }],
  reaches: [{ folder: 'src/core', builtins: ['node:path'], reason: 'core is without effects' }],
  words: [
    { folders: ['src/core'], except: [], pattern: /\bDate\.now\s*\(/, reason: 'the clock is a port' },
    { folders: ['src'], except: ['src/main/a.ts'], pattern: /\bprocess\.env\b/, reason: 'one reader' },
  ],
  names: [{ folders: ['src'], except: [], pattern: /^[a-z0-9/.-]+$/, reason: 'kebab-case' }],
  size: {
    linesMax: 10,
    testLinesMax: 20,
    except: [{ path: 'src/lib/long.ts', reason: 'a table' }],
    reason: 'one sitting',
  },
  headers: { folders: ['src/main', 'guest-agent/link'], except: ['src/http/dialects'], reason: 'newcomers' },
};

/** A tree in which nothing is wrong. */
const sound: Readonly<Record<string, string>> = {
  'src/lib/a.ts': "import { readFile } from 'node:fs';",
  'src/lib/pure.ts': "import { join } from 'node:path';",
  'src/lib/long.ts': 'x\n'.repeat(11),
  'src/core/a.ts': "import '../lib/pure.ts';\nimport type { X } from '../lib/a.ts';",
  'src/core/a.test.ts': "import '../http/a.ts';\nimport 'vitest';\nDate.now();",
  'src/core/testing/fake.ts': "import '../../lib/a.ts';",
  'src/core/ports/a.ts': 'export interface A {}',
  'src/http/a.ts':
    "import '../core/a.ts';\nimport 'hono';\nimport 'hono/body-limit';\nimport '@hono/node-server';",
  'src/http/dialects/x/a.ts': "import '../../a.ts';\nimport './b.ts';",
  'src/http/dialects/x/b.ts': '',
  'src/http/dialects/y/a.ts': '',
  'src/main/a.ts': "/** Joins rooms. */\nimport '../http/a.ts';\nimport 'anything';\nprocess.env;",
  'guest-agent/link/a.go': '// Package link carries calls.\npackage link',
  'guest-agent/link/b.go': 'package link',
  'guest-agent/link/b_test.go': 'package link',
  'bench/a.ts': "import '../src/main/a.ts';",
  'test/a.test.ts': "import '../src/main/a.ts';\nawait import(path);",
};

function violationsOf(changes: Readonly<Record<string, string>>): string {
  return formatViolations(check(treeOf(Object.entries({ ...sound, ...changes })), rules));
}

it('finds nothing wrong with a sound tree', () => {
  expect(violationsOf({})).toBe('');
});

const todo = ['TO', 'DO'].join('');
const header = '/** Says what it is. */\n';

describe('reports, with its reason,', () => {
  it.each<[string, Record<string, string>, string, string]>([
    [
      'a room that reaches into another',
      { 'src/core/b.ts': "import '../http/a.ts';" },
      'src/core/b.ts: imports src/http/a.ts',
      'core is pure',
    ],
    [
      'a type that comes from the wrong room',
      { 'src/core/b.ts': "import type { A } from '../http/a.ts';" },
      'src/core/b.ts: imports src/http/a.ts',
      'core is pure',
    ],
    [
      'a re-export of the wrong room',
      { 'src/lib/b.ts': "export * from '../core/a.ts';" },
      'src/lib/b.ts: imports src/core/a.ts',
      'lib is alone',
    ],
    [
      'a dynamic import of the wrong room',
      { 'src/lib/b.ts': "await import('../core/a.ts');" },
      'src/lib/b.ts: imports src/core/a.ts',
      'lib is alone',
    ],
    [
      'an inner folder by its own rule',
      { 'src/core/ports/b.ts': "import '../a.ts';" },
      'src/core/ports/b.ts: imports src/core/a.ts',
      'ports are types',
    ],
    [
      'siblings that meet',
      { 'src/http/dialects/y/a.ts': "import '../x/b.ts';" },
      'imports src/http/dialects/x/b.ts',
      'dialects are apart',
    ],
    [
      'who imports main',
      { 'src/http/b.ts': "import '../main/a.ts';" },
      'src/http/b.ts: imports src/main/a.ts',
      'nothing but tests and bench',
    ],
    [
      'a package that is not the room’s',
      { 'src/http/b.ts': "import '@hono/other';" },
      'src/http/b.ts: imports @hono/other',
      'http translates',
    ],
    [
      'a module of Node that is not the room’s',
      { 'src/core/b.ts': "import 'node:fs';" },
      'src/core/b.ts: imports node:fs',
      'core is pure',
    ],
    [
      'effects reached through lib',
      { 'src/lib/pure.ts': "import './a.ts';" },
      'src/core/a.ts: reaches src/lib/pure.ts → src/lib/a.ts → node:fs',
      'core is without effects',
    ],
    [
      'production that leans on tests',
      { 'src/http/b.ts': "import '../core/testing/fake.ts';" },
      'src/http/b.ts: imports src/core/testing/fake.ts',
      'made for tests',
    ],
    [
      'an import of nothing',
      { 'src/lib/b.ts': "import './gone.ts';" },
      'src/lib/b.ts: imports src/lib/gone.ts, which is not there',
      'name a file',
    ],
    [
      'an import without extension',
      { 'src/lib/b.ts': "import './a';" },
      'src/lib/a, which is not there',
      'name a file',
    ],
    [
      'an import of nothing in a test',
      { 'src/lib/b.test.ts': "import './gone.ts';" },
      'which is not there',
      'name a file',
    ],
    [
      'a computed import',
      { 'src/lib/b.ts': 'await import(name);' },
      'src/lib/b.ts: imports a computed path',
      'nobody can see',
    ],
    [
      'a file in no room',
      { 'src/attic/a.ts': '' },
      'src/attic/a.ts: belongs to no room',
      'every folder has a rule',
    ],
    [
      'a forbidden word in code',
      { 'src/core/b.ts': '// Date.now()\nconst t = Date.now();' },
      'src/core/b.ts: line 2 says Date.now(',
      'the clock is a port',
    ],
    [
      'a reader of the environment',
      { 'src/lib/b.ts': 'process.env.HOME;' },
      'src/lib/b.ts: line 1 says process.env',
      'one reader',
    ],
    ['a file’s name', { 'src/lib/CamelCase.ts': '' }, 'src/lib/CamelCase.ts: is not a name', 'kebab-case'],
    [
      'a test’s name',
      { 'src/lib/snake_case.test.ts': '' },
      'src/lib/snake_case.test.ts: is not a name',
      'kebab-case',
    ],
    [
      'a long file',
      { 'src/lib/b.ts': 'x\n'.repeat(11) },
      'src/lib/b.ts: has 11 lines, more than 10',
      'one sitting',
    ],
    [
      'a long test',
      { 'src/lib/b.test.ts': 'x\n'.repeat(21) },
      'src/lib/b.test.ts: has 21 lines, more than 20',
      'one sitting',
    ],
    [
      'a promise in a comment',
      { 'src/lib/b.ts': `\n// ${todo}: later` },
      `src/lib/b.ts: line 2 says ${todo}`,
      'is done',
    ],
    [
      'a promise in Go',
      { 'guest-agent/a.go': `// ${todo} later` },
      `guest-agent/a.go: line 1 says ${todo}`,
      'is done',
    ],
    [
      'a file without a header',
      { 'src/main/b.ts': "import './a.ts';\n/** Too late to be a header. */" },
      'src/main/b.ts: does not begin with a comment',
      'newcomers',
    ],
    [
      'an empty header',
      { 'src/main/b.ts': '/** */' },
      'src/main/b.ts: does not begin with a comment',
      'newcomers',
    ],
    [
      'a Go package that nothing describes',
      { 'guest-agent/link/a.go': '// carries calls\npackage link' },
      'guest-agent/link: has no package comment',
      'newcomers',
    ],
  ])('%s', (_, changes, what, reason) => {
    const report = violationsOf(changes);
    expect(report).toContain(what);
    expect(report).toMatch(new RegExp(`because .*${reason}`));
    expect(report.split('\n')).toHaveLength(2);
  });

  it.each(['src/lib', 'src/core', 'src/http/dialects', 'src/main/a.ts', 'src/lib/long.ts', 'bench'])(
    'a rule about %s when that is gone',
    (place) => {
      const left = Object.entries(sound).filter(([path]) => path !== place && !path.startsWith(`${place}/`));
      expect(formatViolations(check(treeOf(left), rules))).toContain(`${place}: a rule names it`);
    },
  );
});

describe('the rules in force', () => {
  it('give every reason in words', () => {
    const { rooms, siblings, reaches, words, names, size, headers } = realRules;
    for (const { reason } of [
      ...rooms,
      ...siblings,
      ...reaches,
      ...words,
      ...names,
      ...size.except,
      size,
      headers,
    ])
      expect(reason.length).toBeGreaterThan(15);
  });

  /** Each a file that breaks one real rule. */
  it.each([
    ['src/lib/x.ts', "import '../core/errors.ts';"],
    ['src/lib/x.ts', "import 'pino';"],
    ['src/core/x.ts', "import '../store/store.ts';"],
    ['src/core/x.ts', "import 'node:child_process';"],
    ['src/core/x.ts', "import { run } from '../lib/process.ts';"],
    ['src/core/x.ts', 'const t = new Date();'],
    ['src/core/x.ts', 'setTimeout(f, 1);'],
    ['src/core/ports/x.ts', "import type { A } from '../machines/service.ts';"],
    ['src/engines/fake/x.ts', "import '../../guest/protocol.ts';"],
    ['src/engines/fake/x.ts', "import '../qemu/qmp.ts';"],
    ['src/guest/x.ts', "import '../storage/layout.ts';"],
    ['src/guest/x.ts', "import '../core/machines/service.ts';"],
    ['src/store/x.ts', "import '../storage/layout.ts';"],
    ['src/storage/x.ts', "import 'kysely';"],
    ['src/http/x.ts', "import '../store/store.ts';"],
    ['src/http/x.ts', "import '../main/config.ts';"],
    ['src/setup/x.ts', "import '../core/machines/machine.ts';"],
    ['sdk/src/x.ts', "import '../../src/core/errors.ts';"],
    ['sdk/src/x.ts', "import 'node:fs';"],
    ['cli/x.ts', "import '../src/core/errors.ts';"],
    ['src/store/x.ts', 'process.env.PATH;'],
    ['src/store/vm-table.ts', ''],
    ['src/lib/utils.ts', ''],
    ['src/lib/camelCase.ts', ''],
  ])('refuse %s with %j', (path, text) => {
    const targets = [
      'src/core/errors.ts',
      'src/core/machines/machine.ts',
      'src/core/machines/service.ts',
      'src/engines/qemu/qmp.ts',
      'src/guest/protocol.ts',
      'src/main/config.ts',
      'src/storage/layout.ts',
      'src/store/store.ts',
    ].map((target) => [target, ''] as const);
    const process = ['src/lib/process.ts', "import 'node:child_process';"] as const;
    const others = [...targets, process].map(([path, text]) => [path, `${header}${text}`] as const);
    const violations = check(treeOf([...others, [path, `${header}${text}`]]), realRules);
    expect(violations.filter(({ what }) => !what.startsWith('a rule names it'))).toHaveLength(1);
  });
});

import { describe, expect, it } from 'vitest';
import { blankNonCode, scanImports } from './source.ts';

describe('scanImports', () => {
  it.each([
    ["import a from './a.ts';", './a.ts', false],
    ["import { a, type B } from './a.ts';", './a.ts', false],
    ["import * as a from './a.ts';", './a.ts', false],
    ["import {\n  a,\n  // and b\n  b,\n} from './a.ts';", './a.ts', false],
    ["import type { A } from './a.ts';", './a.ts', true],
    ["export type { A } from './a.ts';", './a.ts', true],
    ["export * from './a.ts';", './a.ts', false],
    ["export * as a from './a.ts';", './a.ts', false],
    ["import './a.ts';", './a.ts', false],
    ['import{a}from"./a.ts"', './a.ts', false],
    ["const a = await import('./a.ts');", './a.ts', false],
    ["type A = import('./a.ts').A;", './a.ts', false],
    ['const a = await import(path);', null, false],
    [`const a = await import(\`./\${name}.ts\`);`, null, false],
    ["#!/usr/bin/env node\nimport 'x';", 'x', false],
    [`const a = \`\${await import('./a.ts')}\`;`, './a.ts', false],
  ])('finds %j', (source, specifier, isTypeOnly) => {
    expect(scanImports(source)).toEqual([{ specifier, isTypeOnly }]);
  });

  it.each([
    "// import a from './a.ts';",
    "/* import a from './a.ts'; */",
    '/** @example\n * import { a } from "./a.ts";\n */',
    `const text = "import a from './a.ts'";`,
    "const text = `\nimport a from './a.ts';\n`;",
    'const pattern = /import a from "x"/;',
    "const here = import.meta.dirname + 'x';",
    "export const from = 'x';",
    "const important = 'x';",
    'await images.import(image);',
    'class A { import(image: B, options?: C) {} }',
  ])('finds nothing in %j', (source) => {
    expect(scanImports(source)).toEqual([]);
  });

  it('is not led astray by quotes and slashes that are neither strings nor comments', () => {
    const source = [
      'const a = /[\'"`/]/g.test(text) ? 1 / 2 : 3; // it\'s "a" comment',
      `const b = text.replace(/\\/\\*'/, '\\'') + \`nested \${a ? \`deep \${'x'}\` : {}['y']} end\`;`,
      'const c = b / a; const d = c / 2;',
      "import x from './x.ts';",
    ].join('\n');
    expect(scanImports(source)).toEqual([{ specifier: './x.ts', isTypeOnly: false }]);
  });
});

describe('blankNonCode', () => {
  it('keeps length, lines and code', () => {
    const source = `a('b // c'); // d\n\`e \${f('g')} h\`; /i/;\n`;
    expect(blankNonCode(source)).toBe("a('      ');     \n`   {f(' ')}  `; / /;\n");
  });

  it('keeps the line feeds of what it blanks', () => {
    const source = '/* a\nb */ c `d\ne`';
    expect(blankNonCode(source).split('\n')).toHaveLength(3);
    expect(blankNonCode(source)).toHaveLength(source.length);
  });

  it('comes to an end on text that is not closed', () => {
    for (const source of ["'a", '"a\\', '`a ${', '/* a', '/a', '`${`${'])
      expect(blankNonCode(source)).toHaveLength(source.length);
  });
});

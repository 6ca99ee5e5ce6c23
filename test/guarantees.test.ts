/** The guarantees page only promises what tests prove. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { repository } from './support/host.ts';

interface Line {
  readonly id: string;
  readonly proof: string;
}

let lines: readonly Line[];
beforeAll(async () => {
  const page = await readFile(join(repository, 'docs/guarantees.md'), 'utf8');
  lines = [...page.matchAll(/^\| (G\d+) \|.*\| ([^|]*) \|$/gm)].map(([, id = '', proof = '']) => ({
    id,
    proof,
  }));
});

test('the page’s lines are numbered without gaps or duplicates', () => {
  expect(lines.length).toBeGreaterThanOrEqual(19);
  expect(lines.map(({ id }) => id)).toEqual(lines.map((_, i) => `G${i + 1}`));
});

test('every line names its tests, or says that it is not proved', () => {
  for (const { id, proof } of lines) {
    expect(namedTests(proof).length > 0 || proof.includes('*not proved yet*'), id).toBe(true);
  }
});

test('every named test exists', async () => {
  for (const { id, proof } of lines) {
    for (const { file, title } of namedTests(proof)) {
      const source = await readFile(join(repository, file), 'utf8');
      expect(source.includes(title), `${id}: ${file} has no test '${title}'`).toBe(true);
    }
  }
});

/** Parses `file`: beginning of a title; several are separated by middle dots. */
function namedTests(proof: string): readonly { readonly file: string; readonly title: string }[] {
  return [...proof.matchAll(/`([\w./-]+(?:\.test\.ts|\.contract\.ts|_test\.go))`: ([^·]+)/g)].map(
    ([, file = '', title = '']) => ({ file, title: title.trim() }),
  );
}

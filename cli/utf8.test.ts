import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isAsGiven } from './utf8.ts';

const main = join(import.meta.dirname, 'main.ts');
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'f-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** A shell passes bytes that Node's own spawn cannot: `words` is for printf. */
function runWith(
  words: string,
  env: string = '',
): { readonly status: number | null; readonly stderr: string } {
  const script = `FLOTILLA_URL=http://127.0.0.1:9 FLOTILLA_KEY=none; export FLOTILLA_URL FLOTILLA_KEY; ${env} exec "$1" "$2" exec web ${words}`;
  const args = ['-c', script, 'sh', process.execPath, main];
  const { status, stderr } = spawnSync('/bin/sh', args, { encoding: 'utf8', timeout: 60_000 });
  return { status, stderr };
}

test('refuses arguments that are not UTF-8 before anything is sent', () => {
  expect(runWith(`-- echo "$(printf 'a\\374')"`)).toEqual({
    status: 2,
    stderr: expect.stringContaining('error: The arguments are not UTF-8'),
  });
});

test('refuses a variable that is not UTF-8', () => {
  const { status, stderr } = runWith('-e WORD -- env', `WORD=$(printf 'a\\374'); export WORD;`);
  expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('WORD is not UTF-8') });
});

test('refuses a file of variables that is not UTF-8', () => {
  const path = join(directory, 'latin1.env');
  writeFileSync(path, Buffer.from('WORD=caf\xe9\n', 'latin1'));
  const { status, stderr } = runWith(`--env-file ${path} -- env`);
  expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining('is not UTF-8') });
});

test('takes a replacement character that was given', () => {
  const { status, stderr } = runWith('-- echo "\ufffd"');
  expect(stderr).toContain('Cannot reach');
  expect(status).toBe(125);
});

test('cannot tell without /proc', () => {
  const read = () => {
    throw new Error('ENOENT');
  };
  expect(isAsGiven('\ufffd', 'cmdline', read)).toBe(false);
  expect(isAsGiven('plain', 'cmdline', read)).toBe(true);
});

/** NOTICE names the work of others that is compiled into our Go programs. */
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const notice = readFileSync(join(root, 'NOTICE'), 'utf8');
const programs = globSync('*/go.mod', { cwd: root }).sort();

test('there are programs in Go', () => expect(programs).toContain('guest-sftp/go.mod'));

test.each(programs)('of %s, each module with its license', (path) => {
  const required = readFileSync(join(root, path), 'utf8').matchAll(
    /^(?:require )?\t?([\w.-]+\.[\w/.-]+) v\d/gm,
  );
  const section = notice.split(/\n\n/).find((text) => text.startsWith(`${dirname(path)}\n`)) ?? '';
  for (const [, module = ''] of required) {
    const line = section.split('\n').find((each) => each.startsWith(`  ${module} `));
    expect(line, module).toMatch(/license/i);
  }
  expect(notice).toContain(dirname(path));
});

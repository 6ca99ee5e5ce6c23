/** `cp` against a daemon whose machines' files are a directory here. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FakeApi } from './testing/fake-api.ts';
import { runCli, startCli } from './testing/run-cli.ts';

let api: FakeApi;
let here: string;
let there: string;

beforeEach(async () => {
  api = await FakeApi.start();
  api.add('web');
  api.add('other');
  here = mkdtempSync(join(tmpdir(), 'flotilla-cp-'));
  there = api.files.root;
});

afterEach(async () => {
  await api[Symbol.asyncDispose]();
  rmSync(here, { recursive: true });
});

const cp = (...args: string[]) => runCli(['cp', ...args], { env: { FLOTILLA_URL: api.url } });

async function copied(...args: string[]): Promise<void> {
  const { code, stderr } = await cp(...args);
  expect([code, stderr]).toEqual([0, '']);
}

/** `path` or `path/` (a directory), with content, below a directory. */
function make(root: string, files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    if (path.endsWith('/')) mkdirSync(join(root, path), { recursive: true });
    else writeFileSync(join(root, path), content);
  }
}

/** Every file below a directory with its content, directories with a slash. */
function tree(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(root.length + 1);
    if (entry.isDirectory()) found[`${name}/`] = '';
    else found[name] = entry.isSymbolicLink() ? `-> ${readlinkSync(path)}` : readFileSync(path, 'utf8');
  }
  return found;
}

/** Both directions of each case have the same rules: `from` and `to` are on different sides. */
describe.each([
  [
    'to a machine',
    () => here,
    () => there,
    (path: string) => `${here}/${path}`,
    (path: string) => `web:/${path}`,
  ],
  [
    'from a machine',
    () => there,
    () => here,
    (path: string) => `web:/${path}`,
    (path: string) => `${here}/${path}`,
  ],
] as const)('a copy %s', (_, fromRoot, toRoot, from, to) => {
  beforeEach(() => {
    make(fromRoot(), { 'src/': '', 'src/a': 'A', 'src/sub/': '', 'src/sub/b': 'B', file: 'F' });
    make(toRoot(), { 'out/': '', 'out/old': 'O', 'out/src/': '', 'out/src/kept': 'K', target: 'T' });
  });
  const source = { a: 'A', 'sub/': '', 'sub/b': 'B' };
  const out = { old: 'O', 'src/': '', 'src/kept': 'K' };
  const join2 = (name: string, files: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(files).map(([path, content]) => [`${name}/${path}`, content]));

  test.each([
    ['a file to a new name', 'file', 'out/new', { ...out, new: 'F' }],
    ['a file over a file', 'file', 'out/old', { ...out, old: 'F' }],
    ['a file into a directory', 'file', 'out', { ...out, file: 'F' }],
    ['a file into a directory with a slash', 'file', 'out/', { ...out, file: 'F' }],
    ['a directory to a new name', 'src', 'out/new', { ...out, 'new/': '', ...join2('new', source) }],
    [
      'a directory to a new name with a slash',
      'src',
      'out/new/',
      { ...out, 'new/': '', ...join2('new', source) },
    ],
    [
      'the content of a directory to a new name',
      'src/.',
      'out/new',
      { ...out, 'new/': '', ...join2('new', source) },
    ],
    ['a directory into a directory, over what is there', 'src', 'out', { ...out, ...join2('src', source) }],
    ['a directory with a slash into a directory', 'src/', 'out', { ...out, ...join2('src', source) }],
    ['the content of a directory into a directory', 'src/.', 'out', { ...out, ...source }],
  ])('%s', async (_name, what, where, expected) => {
    await copied(from(what), to(where));
    expect(tree(join(toRoot(), 'out'))).toEqual(expected);
  });

  test.each([
    ['no such source', 'nothing', 'out', /^error: There is no .*nothing/],
    ['a file named as a directory', 'file/', 'out', /^error: .*file\/ is not a directory/],
    ['a directory over a file', 'src', 'target', /^error: Cannot copy the directory .* is a file/],
    [
      'a file over a file named as a directory',
      'file',
      'target/',
      /^error: .*target\/ is a file, not a directory/,
    ],
    ['a file to a directory that is not there', 'file', 'none/', /^error: There is no directory .*none\//],
    [
      'a file below a directory that is not there',
      'file',
      'none/x',
      /^error: There is no directory for .*none\/x\nhint: Make it first\n$/,
    ],
  ])('refuses %s', async (_name, what, where, message) => {
    const before = tree(toRoot());
    const { code, stderr } = await cp(from(what), to(where));
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(tree(toRoot())).toEqual(before);
  });

  test('a link is copied as a link, or with -L as what it points to', async () => {
    symlinkSync('file', join(fromRoot(), 'link'));
    symlinkSync('src', join(fromRoot(), 'dirlink'));
    await copied(from('link'), to('out'));
    await copied('-L', from('link'), to('out/followed'));
    await copied('-L', from('dirlink'), to('out/dir'));
    await copied(from('dirlink/.'), to('out/content'));
    expect(tree(join(toRoot(), 'out'))).toMatchObject({
      ...{ link: '-> file', followed: 'F' },
      ...{ 'dir/a': 'A', 'dir/sub/b': 'B', 'content/a': 'A' },
    });
  });

  test('a destination that is a link is followed', async () => {
    symlinkSync('target', join(toRoot(), 'link'));
    symlinkSync('out/absent', join(toRoot(), 'dangling'));
    await copied(from('file'), to('link'));
    await copied(from('file'), to('dangling'));
    expect(readFileSync(join(toRoot(), 'target'), 'utf8')).toBe('F');
    expect(readFileSync(join(toRoot(), 'out/absent'), 'utf8')).toBe('F');
    expect(readlinkSync(join(toRoot(), 'link'))).toBe('target');
  });

  test('modes, times, links and holes are kept', async () => {
    const root = join(fromRoot(), 'src');
    chmodSync(join(root, 'a'), 0o750);
    linkSync(join(root, 'a'), join(root, 'hard'));
    symlinkSync('../outside', join(root, 'soft'));
    writeFileSync(join(root, 'sparse'), 'start');
    truncateSync(join(root, 'sparse'), 10 * 2 ** 30);
    utimesSync(join(root, 'sub'), 1e9, 1e9 + 0.5);
    utimesSync(join(root, 'a'), 1e9, 1e9 + 0.25);
    await copied(from('src'), to('out/new'));
    const at = (name: string) => lstatSync(join(toRoot(), 'out/new', name));
    expect([at('a').mode & 0o7777, at('a').mtimeMs]).toEqual([0o750, 1e12 + 250]);
    expect(at('hard').ino).toBe(at('a').ino);
    expect(readlinkSync(join(toRoot(), 'out/new/soft'))).toBe('../outside');
    expect(at('sparse').size).toBe(10 * 2 ** 30);
    expect(at('sparse').blocks).toBeLessThan(2_000);
    expect(at('sub').mtimeMs).toBe(1e12 + 500);
  });
});

const oddNames = [
  'a b',
  ' ',
  '-rf',
  '--',
  '*',
  'a\nb',
  'a\\nb',
  'a\\',
  'a&b',
  '^.',
  '"\'',
  'a:b',
  '~',
  '$x',
  'ž',
  '\u001b[2J',
  '.x',
];

test('odd names in a tree are kept in both directions, also those that are not UTF-8', async () => {
  make(here, { 'tree/': '' });
  for (const name of oddNames) writeFileSync(join(here, 'tree', name), name);
  writeFileSync(Buffer.concat([Buffer.from(`${here}/tree/`), Buffer.from([0xff, 0x80])]), 'bytes');
  await copied(join(here, 'tree'), 'web:/');
  await copied('web:/.', join(here, 'back'));
  const names = (path: string) => readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare);
  expect(names(join(there, 'tree'))).toEqual(names(join(here, 'tree')));
  expect(names(join(here, 'back/tree'))).toEqual(names(join(here, 'tree')));
  expect(readFileSync(join(here, 'back/tree', '-rf'), 'utf8')).toBe('-rf');
});

test.each(['-rf', 'a\nb', 'a\\nb', 'a&\\1', '*'])(
  'a file called %j can be copied by itself, to any name',
  async (name) => {
    writeFileSync(join(here, name), name);
    await copied(join(here, name), `web:/to ${name}`);
    expect(tree(there)).toEqual({ [`to ${name}`]: name });
  },
);

test('between machines, by streaming', async () => {
  make(there, { 'src/': '', 'src/a': 'A', 'out/': '' });
  await copied('web:/src', 'other:/out');
  await copied('web:/src/.', 'other:/out');
  await copied('web:/src', 'other:/out/new');
  await copied('web:/src/a', 'other:/out/b');
  expect(tree(join(there, 'out'))).toEqual({
    ...{ 'src/': '', 'src/a': 'A', a: 'A', 'new/': '', 'new/a': 'A', b: 'A' },
  });
});

test('files in the machine belong to root, with -a to whom they belong here', async () => {
  make(here, { a: 'A' });
  await copied(join(here, 'a'), 'web:/a');
  await copied('-a', join(here, 'a'), 'web:/a');
  expect(api.files.owners).toEqual(['0:0', null]);
});

test('- is an archive on standard input or output', async () => {
  make(there, { 'src/': '', 'src/a': 'A' });
  const { code, stdout } = await cp('web:src', '-');
  expect(code).toBe(0);
  const listed = spawnSync('tar', ['-tf', '-'], { input: stdout });
  expect(listed.stdout.toString()).toBe('src/\nsrc/a\n');
  make(there, { 'into/': '' });
  const into = await runCli(['cp', '-', 'web:/into'], { env: { FLOTILLA_URL: api.url }, stdin: stdout });
  expect(into).toMatchObject({ code: 0, stderr: '' });
  expect(tree(join(there, 'into'))).toEqual({ 'src/': '', 'src/a': 'A' });
  const absent = await runCli(['cp', '-', 'web:/none'], { env: { FLOTILLA_URL: api.url }, stdin: stdout });
  expect(absent).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^error: There is no directory web:\/none/),
  });
});

test.each([
  [['a', 'b'], /Neither operand names a machine\nhint: MACHINE:PATH is a file/],
  [['-', '-'], /Neither operand names a machine/],
  [['web:', 'b'], /'web:' names no file\nhint: web:\/ is the root/],
  [[':/x', 'b'], /':\/x' names no machine/],
  [['web:/x'], /issing required argument 'dest'/],
])('%j is a usage error', async (args, message) => {
  const result = await cp(...args);
  expect(result).toMatchObject({ code: 2, stderr: expect.stringMatching(message) });
  expect(api.log).toEqual([]);
});

test('a machine that there is not is told from a file that there is not', async () => {
  const result = await cp('nobody:/x', here);
  expect(result).toMatchObject({
    code: 1,
    stderr:
      "error: Machine with id 'nobody' not found\nhint: Flotilla ls shows the machines there are\n".replace(
        'Flotilla',
        'flotilla',
      ),
  });
});

describe('a guest that sends something else', () => {
  /** An archive of one tree after the other, each with names of its own. */
  function archiveOf(...parts: readonly (readonly [transform: string, files: () => void])[]): void {
    const archive = join(here, 'hostile.tar');
    for (const [transform, files] of parts) {
      const root = mkdtempSync(join(here, 'part-'));
      process.chdir(root);
      files();
      process.chdir('/');
      const names = readdirSync(root);
      const action = existsSync(archive) ? '--append' : '--create';
      execFileSync('tar', [
        '-P',
        action,
        '--file',
        archive,
        `--transform=${transform}`,
        '-C',
        root,
        '--',
        ...names,
      ]);
      rmSync(root, { recursive: true });
    }
    const content = readFileSync(archive);
    rmSync(archive);
    api.files.archive = (async function* () {
      yield content;
    })();
  }

  let outside: string;
  beforeEach(() => {
    make(there, { 'x/': '' });
    outside = join(here, 'outside');
    make(here, { 'outside/': '', 'outside/precious': 'P', 'dest/': '' });
  });

  const file = (name: string) => () => writeFileSync(name, 'evil');
  const tarRefuses = /^error: Tar could not unpack what the machine sent/;
  const otherNames =
    /the machine sent an archive with other names|The machine sent an archive with other names/;

  test.each<[string, () => void, RegExp]>([
    ['an absolute name', () => archiveOf([`s,^.*$,${outside}/precious,`, file('f')]), otherNames],
    ['a name that climbs', () => archiveOf(['s,^.*$,../outside/precious,', file('f')]), tarRefuses],
    [
      'a name that climbs from below',
      () => archiveOf(['s,^.*$,copy/../../outside/precious,', file('f')]),
      tarRefuses,
    ],
    [
      'a file through an absolute link',
      () =>
        archiveOf(
          ['s,^link$,copy,', () => symlinkSync(outside, 'link')],
          ['s,^.*$,copy/precious,', file('f')],
        ),
      tarRefuses,
    ],
    [
      'a file through a link that climbs',
      () =>
        archiveOf(
          ['s,^link$,copy,S', () => symlinkSync('../outside', 'link')],
          ['s,^.*$,copy/precious,', file('f')],
        ),
      tarRefuses,
    ],
    [
      'a file through a link below',
      () =>
        archiveOf(
          [
            's,^dir,copy,S',
            () => {
              mkdirSync('dir');
              symlinkSync('../../outside', 'dir/link');
            },
          ],
          ['s,^.*$,copy/link/precious,', file('f')],
        ),
      tarRefuses,
    ],
    ['two trees', () => archiveOf(['s,^f$,copy,', file('f')], ['s,^f$,more,', file('f')]), otherNames],
    ['another name', () => archiveOf(['s,^f$,passwd,', file('f')]), otherNames],
    [
      'a file for a directory',
      () => archiveOf(['s,^f$,copy,', file('f')]),
      /sent a file instead of a directory/,
    ],
  ])('%s changes nothing outside', async (_, send, message) => {
    send();
    const { code, stderr } = await cp('web:/x/.', join(here, 'dest'));
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
    expect(tree(here)).toEqual({ 'dest/': '', 'outside/': '', 'outside/precious': 'P' });
  });

  test('a hard link to a file outside is not made', async () => {
    const inside = join(outside, 'precious');
    archiveOf([
      `s,^one$,${inside},;s,^two$,copy,`,
      () => {
        writeFileSync('one', 'evil');
        linkSync('one', 'two');
      },
    ]);
    expect((await cp('web:/x', join(here, 'dest/x'))).code).toBe(1);
    expect(statSync(inside).nlink).toBe(1);
    expect(readFileSync(inside, 'utf8')).toBe('P');
    expect(tree(join(here, 'dest'))).toEqual({});
  });

  test('links that lead out are copied as links, and nothing is written through those that are there', async () => {
    archiveOf([
      's,^dir,copy,S',
      () => {
        mkdirSync('dir');
        symlinkSync(outside, 'dir/link');
      },
    ]);
    await copied('web:/x/.', join(here, 'dest'));
    expect(readlinkSync(join(here, 'dest/link'))).toBe(outside);
    archiveOf([
      's,^dir,copy,S',
      () => {
        mkdirSync('dir/link', { recursive: true });
        writeFileSync('dir/link/precious', 'evil');
      },
    ]);
    const { code, stderr } = await cp('web:/x/.', join(here, 'dest'));
    expect(stderr).toMatch(/dest\/link is no directory, and a directory in the machine/);
    expect(code).toBe(1);
    expect(readFileSync(join(outside, 'precious'), 'utf8')).toBe('P');
  });

  test('half an archive, and none, are errors', async () => {
    for (const content of ['x'.repeat(5_000), '']) {
      api.files.archive = (async function* () {
        yield Buffer.from(content);
      })();
      expect((await cp('web:/x', join(here, 'dest'))).code).toBe(1);
      expect(tree(join(here, 'dest'))).toEqual({});
    }
  });

  test.runIf(process.getuid?.() === 0)('set-id bits and files of devices come only with -a', async () => {
    const send = () =>
      archiveOf([
        's,^dir,copy,S',
        () => {
          mkdirSync('dir');
          writeFileSync('dir/shell', 'evil');
          chmodSync('dir/shell', 0o6755);
          mkdirSync('dir/tmp');
          chmodSync('dir/tmp', 0o3777);
          execFileSync('mknod', ['dir/disk', 'b', '8', '0']);
        },
      ]);
    send();
    const without = await cp('web:/x', join(here, 'dest/a'));
    expect(without).toMatchObject({ code: 0, stderr: '1 files of devices were left out; -a copies them\n' });
    expect(statSync(join(here, 'dest/a/shell')).mode & 0o7777).toBe(0o755);
    expect(readdirSync(join(here, 'dest/a'))).toEqual(['shell', 'tmp']);
    // Other bits are kept, whatever our umask is.
    expect(statSync(join(here, 'dest/a/tmp')).mode & 0o7777).toBe(0o1777);
    send();
    await copied('-a', 'web:/x', join(here, 'dest/b'));
    expect(statSync(join(here, 'dest/b/shell')).mode & 0o7777).toBe(0o6755);
    expect(statSync(join(here, 'dest/b/disk')).isBlockDevice()).toBe(true);
  });
});

describe('Ctrl-C', () => {
  const start = (...args: string[]) => startCli(['cp', ...args], { env: { FLOTILLA_URL: api.url } });

  test('in the middle of a download leaves nothing', async () => {
    make(there, { x: 'X' });
    make(here, { 'dest/': '' });
    const begun = Promise.withResolvers<void>();
    api.files.archive = (async function* () {
      const archive = execFileSync('tar', ['-cf', '-', '--transform=s/^x/copy/', '-C', there, 'x']);
      yield archive.subarray(0, 600);
      begun.resolve();
      await new Promise(() => undefined);
    })();
    const cli = start('web:/x', join(here, 'dest/x'));
    await begun.promise;
    cli.child.kill('SIGINT');
    expect(await cli.done).toMatchObject({ code: 130, stderr: '' });
    await api.saw(/^download broken off$/);
    expect(tree(join(here, 'dest'))).toEqual({});
  });

  test('in the middle of an upload breaks it off, and ends tar', async () => {
    mkdirSync(join(here, 'src'));
    writeFileSync(join(here, 'src/large'), Buffer.alloc(64 * 2 ** 20, 1));
    const cli = start(join(here, 'src'), 'web:/x');
    await api.saw(/^unpacking$/);
    cli.child.kill('SIGINT');
    expect(await cli.done).toMatchObject({ code: 130, stderr: '' });
    await api.saw(/^upload broken off$/);
  });
});

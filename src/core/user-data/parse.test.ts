/** What of cloud-init's language is read, what is refused, and with which words. */

import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyCharacter } from '../../../test/support/characters.ts';
import { AppError } from '../errors.ts';
import { parseUserData } from './parse.ts';
import { type UserData, userDataBytesMax, userDataOf } from './user-data.ts';

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYg bob@example';
const config = (yaml: string) => parseUserData(`#cloud-config\n${yaml}`);
const parsed = (yaml: string): Partial<UserData> => {
  const { text: _, ...parts } = config(yaml);
  return parts;
};

function refusal(text: string): string {
  try {
    parseUserData(text);
  } catch (error) {
    if (error instanceof AppError && error.code === 'invalid') return error.message;
    throw error;
  }
  throw new Error(`accepted: ${text.slice(0, 200)}`);
}
const refused = (yaml: string) => refusal(`#cloud-config\n${yaml}`);

describe('reads', () => {
  test('the whole of a usual text', () => {
    const text = `#cloud-config
hostname: web.example
preserve_hostname: false
ssh_authorized_keys: [${key}]
users:
  - default
  - plain
  - name: bob
    gecos: Bob B
    groups: [adm, sudo]
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    home: /srv/bob
    lock_passwd: true
    ssh_authorized_keys:
      - ${key}
  - name: ann
    groups: adm, users
    sudo: false
packages:
  - nginx
  - curl=7.88.1-10
write_files:
  - path: /etc/app.conf
    content: |
      a: 1
    owner: bob:adm
    permissions: 0640
    append: yes
  - path: /empty
runcmd:
  - echo "a & b"
  - [chmod, 0755, /x, '']
`;
    const user = { gecos: null, groups: [], sudo: [], shell: null, home: null, sshAuthorizedKeys: [] };
    expect(parseUserData(text)).toEqual({
      text,
      hostname: 'web.example',
      sshAuthorizedKeys: [key],
      users: [
        { ...user, name: 'plain' },
        {
          name: 'bob',
          gecos: 'Bob B',
          groups: ['adm', 'sudo'],
          sudo: ['ALL=(ALL) NOPASSWD:ALL'],
          shell: '/bin/bash',
          home: '/srv/bob',
          sshAuthorizedKeys: [key],
        },
        { ...user, name: 'ann', groups: ['adm', 'users'] },
      ],
      writeFiles: [
        {
          path: '/etc/app.conf',
          content: Buffer.from('a: 1\n').toString('base64'),
          owner: 'bob:adm',
          permissions: 0o640,
          isAppended: true,
        },
        { path: '/empty', content: '', owner: 'root:root', permissions: 0o644, isAppended: false },
      ],
      packages: ['nginx', 'curl=7.88.1-10'],
      runcmd: ['echo "a & b"', ['chmod', '0755', '/x', '']],
      scripts: [],
    });
  });

  test('a script as it is', () => {
    const text = '#!/usr/bin/env python3\nprint("x")\n';
    expect(parseUserData(text)).toEqual(userDataOf({ text, scripts: [text] }));
  });

  test('a text without keys, and lines that end with CR LF', () => {
    expect(parsed('')).toMatchObject({ runcmd: [] });
    expect(parsed('# only a comment\n')).toMatchObject({ runcmd: [] });
    expect(parseUserData('#cloud-config\r\nruncmd:\r\n- a\r\n').runcmd).toEqual(['a']);
  });

  test.each([
    ['b64', Buffer.from('hi')],
    ['base64', Buffer.from('hi')],
    ['gz+b64', gzipSync('hi')],
    ['gzip+base64', gzipSync('hi')],
  ])('content in %s', (encoding, bytes) => {
    const { writeFiles } = config(
      `write_files: [{path: /x, encoding: ${encoding}, content: "${bytes.toString('base64')}"}]`,
    );
    expect(Buffer.from(writeFiles[0]?.content ?? '', 'base64').toString()).toBe('hi');
  });

  test('aliases', () => {
    const yaml = `ssh_authorized_keys: &keys [${key}]\nusers: [{name: bob, ssh_authorized_keys: *keys}]`;
    expect(config(yaml).users[0]?.sshAuthorizedKeys).toEqual([key]);
    const anchors = 'packages: [&a x, &a y, *a]';
    expect(config(anchors).packages).toEqual(['x', 'y', 'y']);
  });
});

describe('refuses', () => {
  test.each([
    ['bootcmd: [a]', "line 2: the key 'bootcmd' is not supported; supported: hostname"],
    ['users: [{name: bob, passwd: x}]', `the key 'passwd' is not supported`],
    ['write_files: [{path: /x, defer: true}]', `the key 'defer' is not supported`],
    ['fqdn: a.b', `the key 'fqdn' is not supported`],
    ['__proto__: {}', `the key '__proto__' is not supported`],
    ['users: [{name: bob, lock_passwd: false}]', 'lock_passwd must be true'],
    ['users: [{name: Bob}]', 'name must begin with a small letter'],
    ['users: [{gecos: x}]', 'must have a name'],
    ['users: [{name: b, gecos: "a:b"}]', 'gecos must be one line without colons'],
    ['users: [b, b]', 'user b is there twice'],
    ['preserve_hostname: true', 'must be false'],
    ['hostname: a_b', 'hostname must be'],
    ['hostname: -a', 'hostname must be'],
    ['ssh_authorized_keys: [nonsense]', 'must be a public SSH key'],
    [`ssh_authorized_keys: ["${key}\\nsecond"]`, 'must be a public SSH key'],
    ['packages: [--force]', 'must be the name of a package'],
    ['packages: [[a, 1]]', 'must be text'],
    ['packages:', 'packages must be a list'],
    ['runcmd: a', 'runcmd must be a list'],
    ['runcmd:\n- echo a: b', 'line 3: item 1 of runcmd must be text'],
    ['runcmd: [[]]', 'must begin with a program'],
    ['runcmd: [""]', 'is empty'],
    ['runcmd: ["a\\0b"]', 'must not contain NUL'],
    ['write_files: [{content: x}]', 'must have a path'],
    ['write_files: [{path: x}]', 'must be an absolute path'],
    ['write_files: [{path: /x/}]', 'must be an absolute path'],
    ['write_files: [{path: /x, permissions: 999}]', 'must be octal digits'],
    ['write_files: [{path: /x, owner: "a:b:c"}]', 'must be USER or USER:GROUP'],
    ['write_files: [{path: /x, append: maybe}]', 'must be true or false'],
    ['write_files: [{path: /x, encoding: gzip, content: x}]', 'must be gz+b64'],
    ['write_files: [{path: /x, encoding: rot13}]', 'is not supported; supported: text/plain'],
    ['write_files: [{path: /x, encoding: b64, content: "a-b"}]', 'must be base64'],
    ['write_files: [{path: /x, encoding: gz+b64, content: aGk=}]', 'must be gzip in base64'],
    ['write_files: [{path: /x, content: !!binary aGk=}]', 'line 2: tags such as !!binary'],
    ['runcmd: !mine [a]', 'line 2: Unresolved tag'],
    ['runcmd: [a]\nruncmd: [b]', "line 3: the key 'runcmd' is there twice"],
    ['runcmd: [*a]', "there is no anchor 'a' before"],
    ['a: b\n c: d\n- x', 'line 2: Nested mappings'],
    ['hostname: "x', 'line 2: Missing closing "quote'],
    ['---\nhostname: x\n---\nb: 1', 'there must be only one YAML document'],
    ['- a', 'the text must be a map of'],
  ])('%s', (yaml, words) => {
    expect(refused(yaml)).toContain(words);
  });

  test.each([
    '',
    'runcmd: [a]',
    '#include http://example.com/x',
    '## template: jinja\n#cloud-config\n',
    'Content-Type: multipart/mixed; boundary="b"\n',
    '#cloud-config-archive\n',
    '#cloud-boothook\n',
  ])('text of another form: %j', (text) => {
    expect(refusal(text)).toContain('must begin with a line #cloud-config, or with #!');
  });

  test('what is too large, unpacked too', () => {
    expect(refusal(`#!/bin/sh\n${'x'.repeat(userDataBytesMax)}`)).toContain('at most 65536 bytes');
    const bomb = gzipSync(Buffer.alloc(4 * 1024 * 1024)).toString('base64');
    expect(refused(`write_files: [{path: /x, encoding: gz+b64, content: "${bomb}"}]`)).toContain('at most');
    const twice = gzipSync(Buffer.alloc(400 * 1024)).toString('base64');
    const files = `{path: /x, encoding: gz+b64, content: "${twice}"}`;
    expect(refused(`write_files: [${files}, ${files}]`)).toContain('in all files together');
    expect(refused(`packages: [${'a,'.repeat(257)}]`)).toContain('at most 256 items');
  });

  test('NUL and half a character', () => {
    expect(refusal('#!/bin/sh\n\0')).toContain('without NUL');
    expect(refusal('#!/bin/sh\n\ud800')).toContain('without NUL');
  });
});

/** Texts on which a reader without limits takes very long, or runs out of stack or memory. */
const hostile = {
  'nested lists': `runcmd: ${'['.repeat(60_000)}`,
  'nested maps': '{a: '.repeat(13_000),
  'nested dashes': '- '.repeat(30_000),
  'keys of keys': '? '.repeat(30_000),
  'growing aliases': `a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d]\nruncmd: [*e,*e,*e,*e]`,
  'growing text': `packages: [&a ${'x'.repeat(30_000)}, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]`,
  'an alias of itself': 'runcmd: &x [*x]',
  'many keys': Array.from({ length: 6_000 }, (_, index) => `k${index}: 1`).join('\n'),
  'many errors': '}'.repeat(60_000),
  'many directives': '%X\n'.repeat(19_000),
  'many documents': '---\n'.repeat(15_000),
} as const;

describe('stays within its limits on', () => {
  test.each(Object.entries(hostile))('%s', (_, yaml) => {
    expect(refused(yaml)).toMatch(/^user data, line \d+: .{1,400}$/);
  });
});

test('raises nothing but invalid, and keeps its promises about what it accepts', () => {
  const words = [
    'runcmd',
    'users',
    'write_files',
    ': ',
    '- ',
    '[',
    ']',
    '{',
    '}',
    '\n',
    '  ',
    '&a ',
    '*a',
    '"',
    "'",
    '|',
    '!!x ',
    'path',
    '/x',
    '0',
    'a',
    '#',
    '<<',
    '?',
    '%',
    '\t',
    key,
  ];
  const text = fc.oneof(
    fc.string({ unit: anyCharacter, maxLength: 200 }),
    fc.array(fc.constantFrom(...words), { maxLength: 60 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, fc.constantFrom('#cloud-config\n', '#!', ''), (rest, head) => {
      try {
        const data = parseUserData(head + rest);
        expect(data.text).toBe(head + rest);
        for (const { path } of data.writeFiles) expect(path).toMatch(/^\//);
        for (const command of data.runcmd) expect(command.length).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ name: 'AppError', code: 'invalid' });
      }
    }),
    { numRuns: 500 },
  );
});

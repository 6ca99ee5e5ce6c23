/** Joining user data: of templates and machines, and of further SSH keys. */
import { expect, test } from 'vitest';
import { joinUserData, mergeUserData } from './merge.ts';
import { parseUserData } from './parse.ts';
import { userDataOf } from './user-data.ts';

const keys = [1, 2].map((n) => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJvYg${n} bob`);

test('does what both say, the first one’s first, and the second one’s where only one can count', () => {
  const first = parseUserData(
    `#cloud-config\nhostname: one\npackages: [a, b]\nruncmd: [x]\nusers: [{name: bob, gecos: B, groups: [adm]}, ann]\nwrite_files: [{path: /x, content: one}]\n`,
  );
  const second = parseUserData(
    `#cloud-config\nhostname: two\npackages: [b, c]\nruncmd: [[y]]\nusers: [{name: bob, shell: /bin/sh, groups: [adm, ops]}]\nwrite_files: [{path: /x, content: two}]\n`,
  );
  const both = mergeUserData(first, second);
  expect(both).toMatchObject({
    text: second.text,
    hostname: 'two',
    packages: ['a', 'b', 'c'],
    runcmd: ['x', ['y']],
    users: [{ name: 'bob', gecos: 'B', shell: '/bin/sh', groups: ['adm', 'ops'] }, { name: 'ann' }],
  });
  expect(both.writeFiles.map(({ content }) => Buffer.from(content, 'base64').toString())).toEqual([
    'one',
    'two',
  ]);
});

test('further SSH keys leave the rest and the text as they are', () => {
  const text = '#!/bin/sh\ntrue\n';
  const merged = mergeUserData(parseUserData(text), userDataOf({ sshAuthorizedKeys: keys }));
  expect(merged).toEqual(userDataOf({ text, scripts: [text], sshAuthorizedKeys: keys }));
  expect(joinUserData(null, null)).toBeNull();
  expect(joinUserData(merged, null)).toBe(merged);
  expect(joinUserData(null, merged)).toBe(merged);
});

test('refuses what is too large together', () => {
  const content = Buffer.alloc(600 * 1024).toString('base64');
  const file = { path: '/x', content, owner: 'root', permissions: 0o644, isAppended: false };
  const large = userDataOf({ writeFiles: [file] });
  expect(() => mergeUserData(large, large)).toThrow('at most 1048576 bytes unpacked');
});

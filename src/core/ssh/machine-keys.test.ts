/** Which keys a machine may have, and which of them its guest gets. */

import { describe, expect, test } from 'vitest';
import { newPublicKey as newKey } from '../../../test/support/ssh-key.ts';
import { parseUserData } from '../user-data/parse.ts';
import { guestTasks, readMachineKeys, withUserDataKeys } from './machine-keys.ts';
import { parsePublicKey } from './public-key.ts';
import { fingerprintsOf } from './ssh-key.ts';

const [mine, yours] = [newKey('me'), newKey('you')] as [string, string];
const bare = (line: string) => line.split(' ', 2).join(' ');

describe('the keys of a machine', () => {
  test('are kept once each, in one form, with the fingerprints of ssh-keygen', () => {
    const lines = readMachineKeys([` ${mine}\n`, yours, bare(mine), `${bare(yours)} \u001b[31mred`]);
    expect(lines).toEqual([mine, yours]);
    expect(readMachineKeys([`${bare(mine)} \u001b[31mred`])).toEqual([bare(mine)]);
    expect(fingerprintsOf(lines)).toEqual([mine, yours].map((line) => parsePublicKey(line).fingerprint));
  });

  test.each([
    [[mine, 'hello'], 'ssh_keys.1: this is not a public key'],
    [[`no-pty ${mine}`], 'ssh_keys.0: this is not a public key'],
    [['ecdsa AAAA'], "ssh_keys.0: 'ecdsa' is not a type of public key"],
    [['-----BEGIN OPENSSH PRIVATE KEY-----'], 'ssh_keys.0: this is a private key'],
    [[`${mine}\n${yours}`], 'ssh_keys.0: a public key is one line'],
    [Array.from({ length: 65 }, () => newKey('')), 'ssh_keys must be at most 64'],
    [
      Array.from({ length: 64 }, () => `${bare(newKey(''))} ${'ü'.repeat(250)}`),
      'ssh_keys must take at most 32768 bytes in all',
    ],
  ])('are refused otherwise', (texts, message) => {
    expect(() => readMachineKeys(texts)).toThrow(
      expect.objectContaining({ code: 'invalid', message: expect.stringContaining(message) }),
    );
  });
});

test('root’s keys in user data are added as far as there is room; other users’ and unusable ones are not', () => {
  const others = newKey('ann');
  const text = [
    '#cloud-config',
    `ssh_authorized_keys: ["${yours}", "ssh-ed25519 ${'A'.repeat(68)} broken"]`,
    `users: [{name: ann, ssh_authorized_keys: ["${others}"]}, {name: root, ssh_authorized_keys: ["${mine}"]}]`,
  ].join('\n');
  expect(withUserDataKeys([mine], parseUserData(text))).toEqual([mine, yours]);
  const full = Array.from({ length: 64 }, () => newKey(''));
  expect(withUserDataKeys(full, parseUserData(text))).toEqual(full);
  expect(withUserDataKeys([mine], null)).toEqual([mine]);
});

test('a guest gets the keys beside its user data, each once', () => {
  const userData = parseUserData(`#cloud-config\nssh_authorized_keys: ["${mine}"]\nruncmd: [x]\n`);
  expect(guestTasks(userData, [mine, yours])).toMatchObject({
    sshAuthorizedKeys: [mine, yours],
    runcmd: ['x'],
  });
  expect(guestTasks(null, [mine])).toMatchObject({ text: null, sshAuthorizedKeys: [mine] });
  expect(guestTasks(userData, [])).toBe(userData);
  expect(guestTasks(null, [])).toBeNull();
});

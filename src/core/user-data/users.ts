/** Reads `users` of user data. */
import { readFlag, readList, readMap, readSome, readSshKeys, readText, readWord, wrong } from './fields.ts';
import type { GuestUser } from './user-data.ts';
import type { YamlValue } from './yaml.ts';

const usersMax = 32;
const groupsMax = 32;
const sudoRulesMax = 16;

const namePattern = /^[a-z_][a-z0-9_-]{0,31}$/;
const nameRule = 'must begin with a small letter or _, and hold small letters, digits, _ and -, at most 32';
const readName = readWord(namePattern, nameRule);
/** A field of /etc/passwd. */
const readGecos = readWord(/^[^:\p{Cc}]{0,256}$/u, 'must be one line without colons, at most 256 characters');
const readPlace = readWord(/^\/[^:\p{Cc}]{0,1023}$/u, 'must be an absolute path of one line without colons');
const readRule = readWord(/^[^\p{Cc}]{1,1024}$/u, 'must be one line, such as `ALL=(ALL) NOPASSWD:ALL`');

/** `default` means root, which every guest has: it adds nothing. */
export function readUsers(value: YamlValue): readonly GuestUser[] {
  const users = readList(value, 'users', usersMax, readUser);
  const names = new Set<string>();
  for (const [index, user] of users.entries()) {
    const item = value.kind === 'list' ? (value.items[index] ?? value) : value;
    if (user && names.has(user.name)) throw wrong(item, `user ${user.name}`, 'is there twice');
    if (user) names.add(user.name);
  }
  return users.filter((user) => user !== null);
}

function readUser(value: YamlValue, what: string): GuestUser | null {
  if (value.kind === 'text') return value.text === 'default' ? null : newUser(readName(value, what));
  let user = newUser('');
  const set = (changes: Partial<GuestUser>) => {
    user = { ...user, ...changes };
  };
  readMap(value, what, {
    name: (item, key) => set({ name: readName(item, key) }),
    gecos: (item, key) => set({ gecos: readGecos(item, key) }),
    groups: (item, key) => set({ groups: readGroups(item, key) }),
    sudo: (item, key) => set({ sudo: readSudo(item, key) }),
    shell: (item, key) => set({ shell: readPlace(item, key) }),
    home: (item, key) => set({ home: readPlace(item, key) }),
    ssh_authorized_keys: (item, key) => set({ sshAuthorizedKeys: readSshKeys(item, key) }),
    lock_passwd: requireLocked,
  });
  if (user.name === '') throw wrong(value, what, 'must have a name');
  return user;
}

function newUser(name: string): GuestUser {
  return { name, gecos: null, groups: [], sudo: [], shell: null, home: null, sshAuthorizedKeys: [] };
}

/** A list, or names with commas between them. */
function readGroups(value: YamlValue, what: string): readonly string[] {
  if (value.kind === 'list') return readList(value, what, groupsMax, readName);
  const names = readText(value, what).split(',');
  if (names.length > groupsMax) throw wrong(value, what, `must have at most ${groupsMax} names`);
  return names.map((text) => readName({ kind: 'text', text: text.trim(), line: value.line }, what));
}

function readSudo(value: YamlValue, what: string): readonly string[] {
  const isNone = value.kind === 'text' && ['false', 'no', ''].includes(value.text.toLowerCase());
  return isNone ? [] : readSome(value, what, sudoRulesMax, readRule);
}

function requireLocked(value: YamlValue, what: string): void {
  if (!readFlag(value, what))
    throw wrong(value, what, 'must be true: users get no passwords; give them ssh_authorized_keys');
}

/** Joins user data of several sources: a template's with a machine's, or further SSH keys. Pure. */
import { AppError } from '../errors.ts';
import { type GuestUser, type UserData, userDataPartsBytesMax } from './user-data.ts';

/**
 * What `first` asks for, then what `second` does. Of a host name, or a field of the same user, `second`'s counts;
 * lists are joined. The text is `second`'s if it has one. Raises `invalid` when both together are too large.
 */
export function mergeUserData(first: UserData, second: UserData): UserData {
  return checkParts({
    text: second.text ?? first.text,
    hostname: second.hostname ?? first.hostname,
    sshAuthorizedKeys: union(first.sshAuthorizedKeys, second.sshAuthorizedKeys),
    users: mergeUsers(first.users, second.users),
    writeFiles: [...first.writeFiles, ...second.writeFiles],
    packages: union(first.packages, second.packages),
    runcmd: [...first.runcmd, ...second.runcmd],
    scripts: [...first.scripts, ...second.scripts],
  });
}

/** `mergeUserData` where either may be missing. */
export function joinUserData(first: UserData | null, second: UserData | null): UserData | null {
  return first && second ? mergeUserData(first, second) : (second ?? first);
}

function mergeUsers(first: readonly GuestUser[], second: readonly GuestUser[]): readonly GuestUser[] {
  const users = new Map(first.map((user) => [user.name, user]));
  for (const user of second) {
    const before = users.get(user.name);
    users.set(user.name, before ? mergeUser(before, user) : user);
  }
  return [...users.values()];
}

function mergeUser(first: GuestUser, second: GuestUser): GuestUser {
  return {
    name: second.name,
    gecos: second.gecos ?? first.gecos,
    groups: union(first.groups, second.groups),
    sudo: union(first.sudo, second.sudo),
    shell: second.shell ?? first.shell,
    home: second.home ?? first.home,
    sshAuthorizedKeys: union(first.sshAuthorizedKeys, second.sshAuthorizedKeys),
  };
}

function union(first: readonly string[], second: readonly string[]): readonly string[] {
  return [...new Set([...first, ...second])];
}

/** Raises `invalid` when the parts are too large to be kept and sent. */
export function checkParts(data: UserData): UserData {
  const { text: _, ...parts } = data;
  if (Buffer.byteLength(JSON.stringify(parts)) <= userDataPartsBytesMax) return data;
  throw new AppError('invalid', `user data must take at most ${userDataPartsBytesMax} bytes unpacked`, {
    hint: 'Let runcmd fetch what is large.',
  });
}

/**
 * The SSH keys of a machine: whoever has the private half of one may enter this machine, and no other. They are recorded in
 * its spec, as lines for `authorized_keys`. Pure; called when a machine is created or changed, and by the authenticator.
 */
import { AppError, isAppError } from '../errors.ts';
import { joinUserData } from '../user-data/merge.ts';
import { type UserData, userDataOf } from '../user-data/user-data.ts';
import { parsePublicKey, publicKeyLine } from './public-key.ts';

export const machineKeysMax = 64;
/** Every list of machines loads them. */
export const machineKeysBytesMax = 32 * 1024;

const plainComment = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]*$/u;

/** The lines to record: each key once. Raises `invalid`, naming the item. */
export function readMachineKeys(texts: readonly string[]): readonly string[] {
  const lines = union(texts.map(readKey));
  if (lines.length > machineKeysMax)
    throw new AppError('invalid', `ssh_keys must be at most ${machineKeysMax}`);
  if (bytesOf(lines) > machineKeysBytesMax)
    throw new AppError('invalid', `ssh_keys must take at most ${machineKeysBytesMax} bytes in all`, {
      hint: 'Keys of Ed25519 are short: ssh-keygen -t ed25519.',
    });
  return lines;
}

/**
 * With root's keys of the user data, as far as there is room: who may enter as root through an SSH server of the guest
 * may do so through the gateway, too. Keys that the gateway does not accept are left to the guest.
 */
export function withUserDataKeys(
  lines: readonly string[],
  userData: Pick<UserData, 'sshAuthorizedKeys' | 'users'> | null,
): readonly string[] {
  const ofRoot = userData?.users.filter(({ name }) => name === 'root') ?? [];
  const given = [userData, ...ofRoot].flatMap((each) => each?.sshAuthorizedKeys ?? []);
  let kept = lines;
  for (const text of given) {
    const line = readOrNull(text);
    const longer = line === null ? kept : union([...kept, line]);
    if (longer.length <= machineKeysMax && bytesOf(longer) <= machineKeysBytesMax) kept = longer;
  }
  return kept;
}

/** What the guest does once: its user data, and the keys for its root. Null: nothing. Raises `invalid` when it is too large. */
export function guestTasks(userData: UserData | null, sshKeys: readonly string[]): UserData | null {
  return sshKeys.length === 0
    ? userData
    : joinUserData(userData, userDataOf({ sshAuthorizedKeys: [...sshKeys] }));
}

function readKey(text: string, index: number): string {
  try {
    return lineOf(text);
  } catch (error) {
    if (!isAppError(error, 'invalid')) throw error;
    throw new AppError('invalid', `ssh_keys.${index}: ${error.message}`, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

function readOrNull(text: string): string | null {
  try {
    return lineOf(text);
  } catch (error) {
    if (isAppError(error, 'invalid')) return null;
    throw error;
  }
}

function lineOf(text: string): string {
  const { comment, ...key } = parsePublicKey(text);
  return publicKeyLine(key, plainComment.test(comment) ? comment : '');
}

/** The first line of each key. */
function union(lines: readonly string[]): readonly string[] {
  const byKey = new Map<string, string>();
  for (const line of lines) {
    const key = line.split(' ', 2).join(' ');
    if (!byKey.has(key)) byKey.set(key, line);
  }
  return [...byKey.values()];
}

function bytesOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
}

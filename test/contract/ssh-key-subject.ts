/** Provides the SSH key for requests to `/api/v1/ssh-keys`. */
import { adminCaller } from '../support/callers.ts';
import type { FakeFlotilla } from '../support/fake.ts';

export const sshKeysPath = '/api/v1/ssh-keys';
export const subjectSshKeyName = 'fuzzed';
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt';

/** Removes all SSH keys, and makes one unless it should be absent. */
export async function arrangeSshKey({ sshKeys }: FakeFlotilla, isAbsent: boolean): Promise<void> {
  const page = await sshKeys.list('default', { limit: 1000, offset: 0 });
  for (const { id } of page.keys) await sshKeys.delete('default', id);
  if (!isAbsent) await sshKeys.create(adminCaller, { name: subjectSshKeyName, publicKey });
}

/** Converts a registered SSH key to a row and back, validating in both directions. */
import { z } from 'zod';
import type { SshKey } from '../core/ssh/ssh-key.ts';
import { decodeJson, encodeJson, encodeTime, type SshKeyTable } from './schema.ts';
import { validate } from './validate.ts';

const sshKey: z.ZodType<SshKey> = z.strictObject({
  id: z.string().min(1),
  tenant: z.string().min(1),
  name: z.string().min(1),
  publicKey: z.string().regex(/^\S+ [A-Za-z0-9+/]+=*$/),
  fingerprint: z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/),
  createdBy: z.string().nullable(),
  createdAt: z.string(),
});

/** Raises InvariantError when the key is malformed. */
export function encodeSshKey(value: SshKey): SshKeyTable {
  const checked = check(value);
  return {
    id: checked.id,
    tenant: checked.tenant,
    name: encodeJson(checked.name),
    public_key: checked.publicKey,
    fingerprint: checked.fingerprint,
    created_by: checked.createdBy,
    created_at: encodeTime(checked.createdAt),
  };
}

/** Raises InvariantError when this program could not have written the row. */
export function decodeSshKey(row: SshKeyTable): SshKey {
  return check({
    id: row.id,
    tenant: row.tenant,
    name: decodeJson(row.name, 'ssh_keys.name'),
    publicKey: row.public_key,
    fingerprint: row.fingerprint,
    createdBy: row.created_by,
    createdAt: row.created_at,
  });
}

/** `value` may contain anything under the fields' names. */
function check(value: Readonly<Record<keyof SshKey, unknown>>): SshKey {
  return validate(sshKey, value, `SSH key ${String(value.id)}`);
}

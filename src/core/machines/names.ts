/**
 * What a machine may be called. A name stands in URLs, on command lines and as the guest's host name; and since machines are
 * found by id or by name, none may look like an id, bare or with a dialect's prefix: a repeated `delete` would end a machine
 * that happens to be called so.
 */
import { AppError } from '../errors.ts';

export const nameCharactersMax = 128;
/** JavaScript's and JSON Schema's alike. */
export const namePattern = /^(?!(?:vm[-_])?[a-z0-9]{12}$)(?!.*\.\.)[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
export const nameRule =
  'must be letters, digits, ., _ and -, begin and end with a letter or digit, not have two dots in a row, and not look like an id (12 small letters and digits, also after vm- or vm_)';

/** Raises `invalid`. */
export function checkName(name: string): void {
  if (name.length <= nameCharactersMax && namePattern.test(name)) return;
  throw new AppError('invalid', `name ${nameRule}`);
}

/**
 * Checks whether a JSON body would be read as its sender wrote it. JSON parsing replaces invalid UTF-8 and
 * drops a field named `__proto__`, so another command would run, or another label be stored, than requested.
 * Such a body is refused.
 */
import { isUtf8 } from 'node:buffer';
import { BadRequest } from './errors.ts';

/** Only bodies with an escape or this field name need a closer check; most have neither. */
const escaped = '\\u';
const prototype = '__proto__';

/** Raises BadRequest. Accepts invalid JSON, which the parser reports. */
export function checkText(body: Buffer): void {
  if (!isUtf8(body))
    throw new BadRequest(
      'The request body is not UTF-8',
      'Send UTF-8; bytes for a command go into `stdin`, in base64.',
    );
  if (!body.includes(escaped) && !body.includes(prototype)) return;
  try {
    JSON.parse(body.toString(), refuseUnreadable);
  } catch (error) {
    if (error instanceof RangeError)
      throw new BadRequest(
        'The request body is nested too deeply',
        'Send fewer levels of arrays and objects.',
      );
    if (!(error instanceof SyntaxError)) throw error;
  }
}

function refuseUnreadable(key: string, value: unknown): unknown {
  if (key === prototype) throw new BadRequest(`A field cannot be named ${prototype}`, 'Choose another name.');
  if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) {
    throw new BadRequest(
      'The request body has half of a surrogate pair, which is no character',
      'Send both halves, or the character itself in UTF-8.',
    );
  }
  return value;
}

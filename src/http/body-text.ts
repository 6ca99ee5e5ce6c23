/**
 * Whether a JSON body means what its sender wrote. Reading it would replace bytes that are not UTF-8, and drop a field
 * named `__proto__`: another command would run, or another label be kept, than was asked for. Such a body is refused.
 */
import { isUtf8 } from 'node:buffer';
import { BadRequest } from './errors.ts';

/** What only a body can have that must be looked at more closely; most have neither. */
const escaped = '\\u';
const prototype = '__proto__';

/** Raises BadRequest. A body that is no JSON passes; whoever parses it says so. */
export function checkText(body: Buffer): void {
  if (!isUtf8(body)) throw new BadRequest('The request body is not UTF-8');
  if (!body.includes(escaped) && !body.includes(prototype)) return;
  try {
    JSON.parse(body.toString(), refuseUnreadable);
  } catch (error) {
    if (error instanceof RangeError) throw new BadRequest('The request body is nested too deeply');
    if (!(error instanceof SyntaxError)) throw error;
  }
}

function refuseUnreadable(key: string, value: unknown): unknown {
  if (key === prototype) throw new BadRequest(`A field cannot be named ${prototype}`);
  if (!key.isWellFormed() || (typeof value === 'string' && !value.isWellFormed())) {
    throw new BadRequest('The request body has half of a surrogate pair, which is no character');
  }
  return value;
}

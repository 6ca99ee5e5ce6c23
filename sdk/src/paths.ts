/** Paths of the API, with ids made safe to be one segment of them. */
import { clientErrorCodes, FlotillaError } from './errors.ts';

/** `/machines/{id}`; throws FlotillaError `INVALID_ARGUMENT` for what URL parsing would turn into another path. */
export function machinePath(id: string): string {
  if (id === '' || id === '.' || id === '..') {
    const message = `'${id}' names no machine`;
    throw new FlotillaError({ status: 0, code: clientErrorCodes.invalid, message });
  }
  return `/machines/${encodeURIComponent(id)}`;
}

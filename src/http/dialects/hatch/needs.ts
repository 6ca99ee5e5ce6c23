/** What Hatch's routes require. Hatch does not look at the content type of a body. */
import type { Scope } from '../../../core/keys/caller.ts';
import * as access from '../../access.ts';

/** `bodyBytesMax`: for routes that read a body. */
export function needs(scope: Scope, bodyBytesMax?: number) {
  const body =
    bodyBytesMax === undefined
      ? ({ kind: 'none', isAnyType: true } as const)
      : ({ kind: 'json', bytesMax: bodyBytesMax, isAnyType: true } as const);
  return access.needs(scope, { body });
}

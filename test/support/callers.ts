/** Callers for tests that use core without HTTP. */
import type { Caller } from '../../src/core/keys/caller.ts';

/** The operator, in the tenant `default`. */
export const adminCaller: Caller = {
  ...{ tenant: 'default', keyName: 'admin', keyId: null, expiresAt: null },
  ...{ scopes: ['*'], tier: null, isOperator: true },
};

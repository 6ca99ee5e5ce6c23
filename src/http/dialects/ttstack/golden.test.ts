/** The golden files of TTstack's controller and of its hosts; `test/golden` says what they are. */
import { join } from 'node:path';
import { describe, expect } from 'vitest';
import { testGolden } from '../../../../test/golden/golden.contract.ts';
import { ttstackHostDialect } from './dialect.ts';

const golden = (role: string) => join(import.meta.dirname, 'golden', role);

/** Also of the errors of the machine's own API, which some conversations use. */
const checkError = (body: unknown, _: string | null, name: string) => {
  const isOurs = typeof (body as { error?: unknown }).error === 'object';
  if (!isOurs) expect(body, name).toEqual({ ok: false, error: expect.stringMatching(/./) });
};

describe('the controller', () => {
  testGolden({ folder: golden('controller'), document: 'ttstack', checkError });
});

describe('a host', () => {
  const dialects = [ttstackHostDialect];
  testGolden({ folder: golden('host'), document: 'ttstack-host', dialects, checkError });
});

/** The generated part of the SDK equals the committed one and matches the document. */
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { OpenApiDocument } from '../../sdk/scripts/document.ts';
import { makeOperations } from '../../sdk/scripts/operations.ts';
import { makeSchema } from '../../sdk/scripts/schema.ts';
import { operationTable } from '../../sdk/src/generated/operations.ts';
import { dialects } from '../../src/http/dialects.ts';
import { makeDocuments } from '../../src/http/openapi.ts';
import { version } from '../../src/main/version.ts';
import { readContract } from './document.ts';

const document = (): OpenApiDocument => JSON.parse(JSON.stringify(makeDocuments(dialects, version).machines));

test.each([
  ['schema.ts', makeSchema],
  ['operations.ts', makeOperations],
])('sdk/src/generated/%s matches the document', async (name, make) => {
  const committed = await readFile(new URL(`../../sdk/src/generated/${name}`, import.meta.url), 'utf8');
  expect(committed, 'regenerate it: node scripts/generate.ts').toBe(await make(document()));
});

test('the SDK knows every operation, and retries none that changes something', () => {
  const { operations } = readContract();
  const known = Object.entries(operationTable);
  expect(known.map(([id, { method, path }]) => [id, method, path])).toEqual(
    operations.map(({ operationId, method, path }) => [operationId, method, path]),
  );
  const repeatable = known.filter(([, { isRepeatable }]) => isRepeatable);
  expect(new Set(repeatable.map(([, { method }]) => method))).toEqual(new Set(['GET']));
});

test('a schema with untyped alternatives keeps its properties', async () => {
  const made = await makeSchema({
    ...document(),
    components: {
      schemas: {
        Either: {
          type: 'object',
          properties: { a: { type: 'string' } },
          anyOf: [{ required: ['a'] }, { required: ['b'] }],
        },
      },
    },
    paths: {},
  });
  expect(made).toContain('readonly a?: string;');
  expect(made).not.toMatch(/\bunknown;/);
});

/** Writes the generated files that are committed: the OpenAPI document and the SDK's types and operations. */
import { mkdir, writeFile } from 'node:fs/promises';
import { makeOperations } from '../sdk/scripts/operations.ts';
import { makeSchema } from '../sdk/scripts/schema.ts';
import { dialects } from '../src/http/dialects.ts';
import { makeDocuments } from '../src/http/openapi.ts';
import { version } from '../src/main/version.ts';

const root = new URL('../', import.meta.url);
const texts = Object.entries(makeDocuments(dialects, version)).map(
  ([name, document]) => [`openapi/${name}.json`, `${JSON.stringify(document, null, 2)}\n`] as const,
);
const documents = Object.fromEntries(texts);
const document = JSON.parse(documents['openapi/machines.json'] ?? '');
const files = {
  ...documents,
  'sdk/src/generated/schema.ts': await makeSchema(document),
  'sdk/src/generated/operations.ts': makeOperations(document),
};
for (const [path, content] of Object.entries(files)) {
  const file = new URL(path, root);
  await mkdir(new URL('./', file), { recursive: true });
  await writeFile(file, content);
}

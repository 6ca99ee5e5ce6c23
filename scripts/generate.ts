/** Writes what is generated from the code and committed: the OpenAPI document, and the SDK's part that says the same. */
import { mkdir, writeFile } from 'node:fs/promises';
import { makeOperations } from '../sdk/scripts/operations.ts';
import { makeSchema } from '../sdk/scripts/schema.ts';
import { makeDocument } from '../src/http/openapi.ts';
import { version } from '../src/main/version.ts';

const root = new URL('../', import.meta.url);
const text = `${JSON.stringify(makeDocument(version), null, 2)}\n`;
const document = JSON.parse(text);
const files = {
  'openapi/machines.json': text,
  'sdk/src/generated/schema.ts': await makeSchema(document),
  'sdk/src/generated/operations.ts': makeOperations(document),
};
for (const [path, content] of Object.entries(files)) {
  const file = new URL(path, root);
  await mkdir(new URL('./', file), { recursive: true });
  await writeFile(file, content);
}

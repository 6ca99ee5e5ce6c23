/** Writes the generated files that are committed: the OpenAPI documents, those for agents, and the SDK's types and operations. */
import { mkdir, writeFile } from 'node:fs/promises';
import { environmentSchema } from '../cli/environment-file.ts';
import { makeOperations } from '../sdk/scripts/operations.ts';
import { makeSchema } from '../sdk/scripts/schema.ts';
import { ontology } from '../src/http/agentic/ontology.ts';
import { toolDocuments } from '../src/http/agentic/tool-documents.ts';
import { tools } from '../src/http/agentic/tools.ts';
import { dialects } from '../src/http/dialects.ts';
import { makeDocuments } from '../src/http/openapi.ts';
import { version } from '../src/main/version.ts';

const root = new URL('../', import.meta.url);
const made = makeDocuments(dialects, version);
const { hypermachine } = made;
if (hypermachine === undefined) throw new Error('HyperMachine has no document');
const forAgents = {
  ...toolDocuments(tools, version),
  ontology: ontology({ document: hypermachine, version, isKeyRequired: true }),
};
const documents = {
  ...filesOf('openapi', made),
  ...filesOf('openapi/agentic', forAgents),
};
const document = JSON.parse(documents['openapi/machines.json'] ?? '');
const files = {
  ...documents,
  'docs/env.schema.json': `${JSON.stringify(environmentSchema(), null, 2)}\n`,
  'sdk/src/generated/schema.ts': await makeSchema(document),
  'sdk/src/generated/operations.ts': makeOperations(document),
};
for (const [path, content] of Object.entries(files)) {
  const file = new URL(path, root);
  await mkdir(new URL('./', file), { recursive: true });
  await writeFile(file, content);
}

function filesOf(folder: string, values: object): Readonly<Record<string, string>> {
  const files = Object.entries(values).map(
    ([name, value]) => [`${folder}/${name}.json`, `${JSON.stringify(value, null, 2)}\n`] as const,
  );
  return Object.fromEntries(files);
}

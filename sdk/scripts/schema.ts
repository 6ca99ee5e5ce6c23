/** Generates `sdk/src/generated/schema.ts`: the document's schemas and operations as TypeScript types. */
import openapiTypeScript, { astToString } from 'openapi-typescript';
import type { OpenApiDocument, OperationObject, Schema } from './document.ts';

/** Returns the file's text; throws when the document is invalid. */
export async function makeSchema(document: OpenApiDocument): Promise<string> {
  const nodes = await openapiTypeScript(JSON.stringify(withoutUnread(document)), {
    immutable: true,
    // The server fills in defaults, so callers may omit the field.
    defaultNonNullable: false,
    silent: true,
  });
  return `// Made by scripts/generate.ts from the OpenAPI document.\n${astToString(nodes)}`;
}

/**
 * Removes the parts for which the SDK has no types: error answers, which are all the same `Error`, and
 * headers.
 */
function withoutUnread(document: OpenApiDocument): OpenApiDocument {
  const { schemas } = document.components;
  return {
    ...document,
    components: { ...document.components, schemas: mapValues(schemas, withoutRequirements) },
    paths: mapValues(document.paths, (methods) => mapValues(methods, withoutFailures)),
  };
}

function withoutFailures(operation: OperationObject): OperationObject {
  const successes = Object.entries(operation.responses).filter(([status]) => status.startsWith('2'));
  const responses = successes.map(([status, response]) => [status, { ...response, headers: undefined }]);
  return { ...operation, responses: Object.fromEntries(responses) };
}

/**
 * Removes alternatives that only list required properties; they have no type and would turn the whole into
 * `unknown`.
 */
function withoutRequirements(schema: Schema): Schema {
  const isRequirement = (each: object) => Object.keys(each).every((key) => key === 'required');
  const { anyOf, oneOf, ...rest } = schema;
  return schema.properties && (anyOf ?? oneOf)?.every(isRequirement) ? rest : schema;
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Readonly<Record<string, To>> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}

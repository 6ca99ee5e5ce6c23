/**
 * Generates `sdk/src/generated/operations.ts`: what the transport needs to know of each operation, and the
 * document's enums.
 */
import { answersOf, type OpenApiDocument, type Operation, operationsOf } from './document.ts';

const json = 'application/json';

/** Returns the file's text. */
export function makeOperations(document: OpenApiDocument): string {
  const operations = operationsOf(document).map(
    (operation) => `  ${operation.operationId}: ${literal(describe(operation))},`,
  );
  const words = Object.entries(document.components.schemas).flatMap(([name, schema]) =>
    schema.enum === undefined ? [] : [`  ${name}: ${literal(schema.enum)},`],
  );
  return [
    '// Made by scripts/generate.ts from the OpenAPI document.',
    '',
    '/**',
    ' * By operation: method; path; the media type of the body it takes; what its answer is; the media type of the answer',
    ' * that may be had as a stream; and whether a call may be repeated when nobody knows whether it was served.',
    ' */',
    'export const operationTable = {',
    ...operations,
    '} as const;',
    '',
    '/** The words that a value may be, by schema. */',
    'export const words = {',
    ...words,
    '} as const;',
    '',
  ].join('\n');
}

function describe(operation: Operation) {
  const answers = answersOf(operation);
  return {
    method: operation.method,
    path: operation.path,
    takes: Object.keys(operation.requestBody?.content ?? {})[0] ?? null,
    answer: answers.includes(json) ? 'json' : answers.length === 0 ? 'none' : 'stream',
    stream: answers.find((answer) => answer !== json) ?? null,
    isRepeatable: operation.method === 'GET',
  };
}

/** Formats a value in this repository's style, on one line. */
function literal(value: unknown): string {
  if (typeof value === 'string') return `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const fields = Object.entries(value).map(([name, each]) => `${name}: ${literal(each)}`);
  return `{ ${fields.join(', ')} }`;
}

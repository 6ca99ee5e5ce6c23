/** The OpenAPI document for tests: its operations, and a validator for each of its schemas. */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { Dialect } from '../../src/http/dialect.ts';
import { dialects } from '../../src/http/dialects.ts';
import { makeDocuments } from '../../src/http/openapi.ts';

/** The part of JSON Schema that our documents use. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly propertyNames?: Schema;
  readonly anyOf?: readonly Schema[];
}

export interface Media {
  readonly schema: Schema;
  readonly example?: unknown;
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required: boolean;
  readonly schema: Schema;
}

export interface DocumentedResponse {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, Media>>;
}

export interface OperationObject {
  readonly operationId: string;
  readonly tags?: readonly string[];
  readonly security?: readonly { readonly bearerAuth?: readonly string[] }[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly required?: boolean; readonly content: Readonly<Record<string, Media>> };
  readonly responses: Readonly<Record<string, DocumentedResponse>>;
}

export interface DocumentedOperation extends OperationObject {
  readonly method: string;
  readonly path: string;
}

export interface Contract {
  readonly document: Readonly<Record<string, unknown>>;
  readonly operations: readonly DocumentedOperation[];
  /** Follows a reference into the document. */
  resolve(schema: Schema): Schema;
  /** Null if the value matches the schema; else what is wrong. */
  problem(schema: Schema, value: unknown): string | null;
}

const id = 'document.json';

export function readContract(name = 'machines', from: readonly Dialect[] | undefined = dialects): Contract {
  const document: Record<string, unknown> = JSON.parse(JSON.stringify(makeDocuments(from, 'test')[name]));
  const paths = document.paths as Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  const ajv = new Ajv2020({ strict: false, allErrors: false });
  addFormats.default(ajv);
  // What generators of clients would make of `oneOf` is no type.
  ajv.addKeyword({
    keyword: 'x-exactly-one-of',
    type: 'object',
    schemaType: 'array',
    validate: (names: readonly string[], value: object) => names.filter((name) => name in value).length === 1,
  });
  ajv.addKeyword({
    keyword: 'x-required-unless',
    type: 'object',
    schemaType: 'object',
    validate: (
      { any_of, required }: { readonly any_of: readonly string[]; readonly required: readonly string[] },
      value: object,
    ) => any_of.some((name) => name in value) || required.every((name) => name in value),
  });
  ajv.addKeyword({
    keyword: 'x-not-together',
    type: 'object',
    schemaType: 'array',
    validate: (names: readonly string[], value: object) => !names.every((name) => name in value),
  });
  ajv.addSchema(document, id);
  const validators = new Map<Schema, ValidateFunction>();
  return {
    document,
    operations: Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        ...operation,
        method: method.toUpperCase(),
        path,
      })),
    ),
    resolve(schema) {
      if (schema.$ref === undefined) return schema;
      const name = schema.$ref.replace('#/components/schemas/', '');
      const schemas = (document.components as { schemas: Readonly<Record<string, Schema>> }).schemas;
      const found = schemas[name];
      if (!found) throw new Error(`the document has no ${schema.$ref}`);
      return found;
    },
    problem(schema, value) {
      let validate = validators.get(schema);
      if (!validate) {
        validate = ajv.compile(absolute(schema));
        validators.set(schema, validate);
      }
      return validate(value) ? null : ajv.errorsText(validate.errors);
    },
  };
}

/** The schema with absolute references into the document. */
function absolute(schema: Schema): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', `"${id}#/`));
}

/** The operations of an OpenAPI document in the ontology's form. Pure. */
import type { OpenApiDocument } from '../openapi.ts';

type Json = Readonly<Record<string, unknown>>;

interface DocumentedOperation {
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly required?: boolean;
    readonly schema: Json;
    readonly description?: string;
  }[];
  readonly requestBody?: {
    readonly required?: boolean;
    readonly content: Readonly<Record<string, { readonly schema: Json; readonly example?: unknown }>>;
  };
  readonly responses: Readonly<
    Record<
      string,
      { readonly description: string; readonly content?: Readonly<Record<string, { readonly schema: Json }>> }
    >
  >;
}

const jsonType = 'application/json';

export type OntologyOperation = ReturnType<typeof toOperation>;

/** All operations below `prefix`. */
export function operationsOf(document: OpenApiDocument, prefix: string) {
  const paths = JSON.parse(JSON.stringify(document.paths ?? {})) as Readonly<
    Record<string, Readonly<Record<string, DocumentedOperation>>>
  >;
  return Object.entries(paths)
    .filter(([path]) => path === prefix || path.startsWith(`${prefix}/`))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => toOperation(document, path, method, operation)),
    );
}

function toOperation(
  document: OpenApiDocument,
  path: string,
  method: string,
  operation: DocumentedOperation,
) {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const body = requestBody?.content[jsonType];
  return {
    id: operationId,
    name: summary,
    description: description ?? `${summary}.`,
    http_method: method.toUpperCase(),
    path,
    parameters: parameters.map(
      ({ name, in: location, required = false, schema, description: text = '' }) => ({
        ...{ name, location, required, description: text },
        schema: dereferenced(document, schema),
        default: schema.default ?? null,
      }),
    ),
    request_body:
      body === undefined
        ? null
        : {
            content_type: jsonType,
            schema: dereferenced(document, body.schema),
            required: requestBody?.required ?? false,
          },
    responses: Object.entries(responses).map(([status, { description: text, content }]) => ({
      status_code: Number(status),
      description: text,
      schema: content?.[jsonType] === undefined ? null : dereferenced(document, content[jsonType].schema),
    })),
    idempotent: method === 'get',
    async_operation: false,
    rate_limit: null,
    examples:
      body?.example === undefined
        ? []
        : [{ name: summary, description: 'A request that works.', request: body.example, response: null }],
  };
}

/** The schema without references into the document. */
export function dereferenced(document: OpenApiDocument, schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map((item) => dereferenced(document, item));
  if (typeof schema !== 'object' || schema === null) return schema;
  const { $ref, ...rest } = schema as { readonly $ref?: string };
  const schemas: Readonly<Record<string, unknown>> = document.components?.schemas ?? {};
  const found = $ref === undefined ? {} : schemas[$ref.replace('#/components/schemas/', '')];
  const merged = { ...JSON.parse(JSON.stringify(found ?? {})), ...rest };
  return Object.fromEntries(
    Object.entries(merged).map(([name, value]) => [name, dereferenced(document, value)]),
  );
}

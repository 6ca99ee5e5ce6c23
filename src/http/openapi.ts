/** OpenAPI documents: made from the routes' definitions, plus what the application adds to each of them. */
import { OpenAPIHono, type RouteConfig } from '@hono/zod-openapi';
import { type Dialect, fullPath } from './dialect.ts';

export type OpenApiDocument = ReturnType<OpenAPIHono['getOpenAPI31Document']>;

/** By document name. A pure function of the code: no daemon is needed. */
export function makeDocuments(
  dialects: readonly Dialect[],
  version: string,
): Readonly<Record<string, OpenApiDocument>> {
  return Object.fromEntries(
    documentNames(dialects).map((name) => [name, makeDocument(dialects, name, version)]),
  );
}

/** In the order of the dialects. */
export function documentNames(dialects: readonly Dialect[]): readonly string[] {
  return [...new Set(dialects.map(({ document }) => document.name))];
}

/** The document of all dialects that name it as theirs. */
export function makeDocument(dialects: readonly Dialect[], name: string, version: string): OpenApiDocument {
  return documentOf(
    dialects.filter(({ document }) => document.name === name),
    version,
  );
}

function documentOf(dialects: readonly Dialect[], version: string): OpenApiDocument {
  const [first] = dialects;
  if (first === undefined) throw new Error('a document of no dialect');
  const { title, description, tags, keyHeader } = first.document;
  const paper = new OpenAPIHono();
  const { openAPIRegistry: registry } = paper;
  registry.registerComponent('securitySchemes', 'bearerAuth', {
    type: 'http',
    scheme: 'bearer',
    description: 'The key that `flotilla up` shows, or one made with it.',
  });
  if (keyHeader !== undefined) {
    const scheme = { type: 'apiKey' as const, in: 'header' as const, name: keyHeader };
    registry.registerComponent('securitySchemes', 'headerAuth', { ...scheme, description: 'The same key.' });
  }
  registry.registerComponent('headers', 'RequestId', {
    description: 'The id you gave the request, or the one it was given.',
    schema: { type: 'string', maxLength: 128 },
  });
  for (const { prefixes, routes } of dialects.flatMap(({ nouns }) => nouns)) {
    for (const route of routes.filter(({ hide }) => hide !== true)) {
      const path = fullPath(prefixes[0], route);
      const { security = [] } = route;
      const withHeader =
        keyHeader === undefined || security.length === 0
          ? {}
          : { security: [...security, { headerAuth: [] }] };
      registry.registerPath(withRequestId({ ...route, ...withHeader, path }));
    }
  }
  return paper.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title,
      version,
      description,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/', description: 'This daemon.' }],
    security: [{ bearerAuth: [] }],
    tags: [...tags],
  });
}

function withRequestId(route: RouteConfig): RouteConfig {
  const headers = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };
  const responses = Object.entries(route.responses).map(([status, response]) => [
    status,
    '$ref' in response ? response : { ...response, headers },
  ]);
  return { ...route, responses: Object.fromEntries(responses) };
}

/** The OpenAPI document: made from the routes' own definitions, and what the application adds to each of them. */
import { createRoute, OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import { commonFailures } from './dialects/machines/documented.ts';
import { nouns } from './dialects/machines/nouns.ts';

const description = `
Fleets of microVMs on machines you own.

Every error body is \`{"error":{"code","message"}}\`; \`code\` is for programs and \`message\` for people. An
\`X-Request-Id\` that you send comes back; without one, one is made. The daemon's log has it for what changed something or
was refused, and with \`FLOTILLA_LOG_LEVEL=debug\` for all.

A request that is no HTTP, or whose header section is too large or comes too slowly, is answered with the same body and
400, 431 or 408; so is one whose body does not come, with 408.

\`/api/v1/machines\` and \`/machines\` are two names of the same routes.
`.trim();

const healthRoute = createRoute({
  method: 'get',
  path: '/health',
  operationId: 'getHealth',
  tags: ['health'],
  summary: 'Ask whether the daemon answers',
  description: 'Needs no key.',
  security: [],
  responses: {
    200: {
      description: 'It does.',
      content: {
        'application/json': {
          schema: z
            .object({
              status: z.literal('ok').openapi({ example: 'ok' }),
              version: z.string().openapi({ example: '0.1.0' }),
            })
            .openapi('Health'),
        },
      },
    },
    403: commonFailures[403],
  },
});

/** A pure function of the code: no daemon is needed to make it. */
export function makeDocument(version: string) {
  const paper = new OpenAPIHono();
  const { openAPIRegistry: registry } = paper;
  registry.registerComponent('securitySchemes', 'bearerAuth', {
    type: 'http',
    scheme: 'bearer',
    description: 'The key that `flotilla up` shows, or one made with it.',
  });
  registry.registerComponent('headers', 'RequestId', {
    description: 'The id you gave the request, or the one it was given.',
    schema: { type: 'string', maxLength: 128 },
  });
  registry.registerPath(withRequestId(healthRoute));
  for (const { prefixes, routes } of nouns) {
    for (const route of routes) registry.registerPath(withRequestId(below(prefixes[0], route)));
  }
  return paper.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Flotilla API',
      version,
      description,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    servers: [{ url: '/', description: 'This daemon.' }],
    security: [{ bearerAuth: [] }],
    tags: [
      { name: 'machines', description: 'MicroVMs: their life, and commands in them.' },
      { name: 'operations', description: 'What is being done to machines, and how it ended.' },
      { name: 'images', description: 'Root file systems that machines start from.' },
      { name: 'keys', description: 'API keys: who may do what, and until when.' },
      { name: 'health', description: 'The daemon itself.' },
    ],
  });
}

function below(prefix: string, route: RouteConfig): RouteConfig {
  return { ...route, path: route.path === '/' ? prefix : `${prefix}${route.path}` };
}

function withRequestId(route: RouteConfig): RouteConfig {
  const headers = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };
  const responses = Object.entries(route.responses).map(([status, response]) => [
    status,
    '$ref' in response ? response : { ...response, headers },
  ]);
  return { ...route, responses: Object.fromEntries(responses) };
}

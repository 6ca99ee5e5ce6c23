/** `/health`: whether the daemon answers. Needs no key. */
import { createRoute, type OpenAPIHono, type RouteConfig, z } from '@hono/zod-openapi';
import { forEveryone } from '../access.ts';
import type { HttpDeps, HttpEnv } from '../context.ts';
import { commonFailures, nounApp } from '../documented.ts';

const route = createRoute({
  method: 'get',
  path: '/health',
  operationId: 'getHealth',
  tags: ['health'],
  ...forEveryone(),
  summary: 'Ask whether the daemon answers',
  description: 'Needs no key.',
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

export const healthRoutes: readonly RouteConfig[] = [route];

export function healthApp({ version }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(route, (c) => c.json({ status: 'ok' as const, version }, 200));
  return app;
}

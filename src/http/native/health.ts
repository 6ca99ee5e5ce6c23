/** `/health`: whether the daemon answers. Needs no key. Also at `/api/v1/health`, where some clients look. */
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
  summary: 'Check that the daemon runs',
  description: 'Needs no key.',
  responses: {
    200: {
      description: 'The daemon runs.',
      content: {
        'application/json': {
          schema: z
            .object({
              status: z.literal('healthy').openapi({ description: 'Always `healthy`.', example: 'healthy' }),
              version: z.string().openapi({ description: 'Version of the daemon.', example: '0.1.0' }),
              uptime: z.number().openapi({ description: 'Seconds since the daemon started.', example: 12.5 }),
              uptime_seconds: z.int().openapi({ description: 'The same in whole seconds.', example: 12 }),
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
  const startedMs = performance.now();
  app.openapi(route, (c) => {
    const uptime = Math.round(performance.now() - startedMs) / 1000;
    return c.json({ status: 'healthy' as const, version, uptime, uptime_seconds: Math.floor(uptime) }, 200);
  });
  return app;
}

/** What `/api/v1/routes` and `/machines/{id}/routes` accept and send. */
import { z } from '@hono/zod-openapi';
import { closed, closedQuery, moment, pageQuery } from '../../schema.ts';

const targetPort = z.int().min(1).max(65_535).openapi({ description: 'Port of the guest.', example: 8080 });
const autoWake = z.boolean().optional().openapi({
  description: 'Whether a request starts or resumes the machine. Default: true.',
});

const access = z.enum(['public', 'private']).optional().openapi({
  description: '`private`: requests need a token of `POST /api/v1/routes/{id}/tokens`. Default: public.',
});

const newRoute = {
  subdomain: z.string().max(63).optional().openapi({
    description:
      'Lower-case letters, digits and hyphens; unique on this server. Absent or empty: 12 hexadecimal digits.',
    example: 'shop',
  }),
  target_port: targetPort,
  auto_wake: autoWake,
  access,
};

export const createMachineRouteBody = closed(newRoute).openapi('CreateMachineRoute');
export const createRouteBody = closed({
  machine: z.string().min(1).max(128).openapi({ description: 'Id or name.', example: 'web' }),
  ...newRoute,
}).openapi('CreateRoute');
export const updateRouteBody = closed({ target_port: targetPort.optional(), auto_wake: autoWake, access })
  .refine((body) => Object.keys(body).length > 0, 'there is nothing to change')
  .openapi('UpdateRoute', { minProperties: 1 });

export const routeBody = z
  .object({
    id: z.string().openapi({ example: 'r7k2m9x4c1qa' }),
    machine_id: z.string().openapi({ example: 'abc123def456' }),
    subdomain: z.string().openapi({ example: 'shop' }),
    target_port: z.int().openapi({ example: 8080 }),
    auto_wake: z.boolean(),
    access: z.enum(['public', 'private']),
    url: z.string().nullable().openapi({
      description:
        'Its address at the reverse proxy; null when this server has no domain (`PROXY_HOST_SUFFIX`).',
      example: 'https://shop.flotilla.example',
    }),
    created_at: moment,
    updated_at: moment,
  })
  .openapi('Route');
export type RouteBody = z.infer<typeof routeBody>;

export const createTokenBody = closed({
  expires_in_seconds: z
    .int()
    .min(1)
    .max(31_536_000)
    .optional()
    .openapi({ description: 'Default: 3600; at most a year.', example: 86_400 }),
}).openapi('CreateRouteToken');
export const tokenBody = z
  .object({
    token: z.string().openapi({
      description: 'For the header `X-Flotilla-Token`, or the parameter `flotilla_token` of an address.',
      example: 'r1.tq1x2c.1pV8xQJcJm0n3mQ1Jq2c9d7mV1pV8xQJcJm0n3mQ1Jq',
    }),
    url: z.string().nullable().openapi({
      description: 'The route’s address with the token, to open in a browser; null as in the route.',
      example:
        'https://shop.flotilla.example/?flotilla_token=r1.tq1x2c.1pV8xQJcJm0n3mQ1Jq2c9d7mV1pV8xQJcJm0n3mQ1Jq',
    }),
    expires_at: moment,
  })
  .openapi('RouteToken');

export const routeList = z
  .object({
    routes: z.array(routeBody),
    total: z.int().openapi({ description: 'On all pages.', example: 1 }),
  })
  .openapi('RouteList');

export const listRoutesQuery = closedQuery(pageQuery('Routes'));
export const listAllRoutesQuery = closedQuery({
  ...pageQuery('Routes'),
  machine: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .openapi({ param: { description: 'Only those of this machine: id or name.' }, example: 'web' }),
});

export const routeParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id or subdomain.' }, example: 'shop' }),
});

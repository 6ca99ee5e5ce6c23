/** The documented and validated routes of `/api/v1/templates`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig } from '@hono/zod-openapi';
import { bodyBytesMax, needs } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const notFound = {
  404: failure('No such template.', 'NOT_FOUND', "Template with id 'web' not found"),
} as const;
const wrongId = invalid('id must have at most 128 characters');
const tags = ['templates'];

export const routes = {
  create: createRoute({
    method: 'post',
    path: '/',
    operationId: 'createTemplate',
    tags,
    ...needs('machines:write', { body: { kind: 'json', bytesMax: bodyBytesMax } }),
    summary: 'Create a template',
    description:
      'What machines made with `template` have in common; fields of the machine’s own request take precedence.',
    request: bodyOf(schema.createTemplateBody, {
      name: 'web',
      description: 'a web server',
      image: 'busybox',
      vcpu_count: 1,
      mem_size_mib: 256,
    }),
    responses: {
      201: json('The template.', schema.templateBody),
      ...invalid('vcpu_count must be at least 1'),
      ...commonFailures,
      404: failure('No such image.', 'NOT_FOUND', 'no image "alpine-3.20"'),
      ...bodyRefused,
      409: failure(
        'The name is taken, or there are 1000 templates.',
        'CONFLICT',
        "Template with name 'web' already exists",
      ),
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listTemplates',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'List templates',
    description: 'A page of your tenant’s templates, newest first.',
    request: { query: schema.listTemplatesQuery },
    responses: {
      200: json('A page of templates, newest first.', schema.templateList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}',
    operationId: 'getTemplate',
    tags,
    ...needs('machines:read'),
    summary: 'Get a template',
    request: { params: schema.templateParams },
    responses: {
      200: json('The template.', schema.templateBody),
      ...wrongId,
      ...commonFailures,
      ...notFound,
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}',
    operationId: 'deleteTemplate',
    tags,
    ...needs('machines:write', { body: { kind: 'empty' } }),
    summary: 'Delete a template',
    description: 'Machines made from it stay as they are.',
    request: { params: schema.templateParams },
    responses: {
      204: { description: 'Deleted.' },
      ...wrongId,
      ...commonFailures,
      ...notFound,
      ...bodyRefused,
    },
  }),
};

/** With paths below the noun's prefix. */
export const templateRoutes: readonly RouteConfig[] = Object.values(routes);

/** The documented and validated routes of `/api/v1/images`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const tags = ['images'];
const imageAnswer = json('The image.', schema.imageBody);
const notFound = { 404: failure('No such image.', 'NOT_FOUND', 'no image "alpine-3.20"') } as const;

const importFailures = {
  ...commonFailures,
  409: failure(
    'You can see an image of that name already.',
    'CONFLICT',
    "an image named 'alpine-3.20' exists already",
  ),
  503: failure(
    'Not now: no room, too many imports wait or images are there, its turn did not come, or shutting down.',
    'RESOURCE_EXHAUSTED',
    '16 imports wait already',
    true,
  ),
  504: failure('It took too long.', 'TIMEOUT', 'the import did not end within 1200 s', true),
} as const;

const wholeOrNothing =
  'Either the whole image is there when this answers, or nothing is. Two images are made at a time, of different tenants; at most 16 imports wait, one of each tenant, for at most 20 minutes.';

export const routes = {
  import: createRoute({
    method: 'post',
    path: '/',
    operationId: 'importImage',
    tags,
    ...needs('machines:write', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Import an image from the host',
    description: `Makes an image of a directory or a tar archive on the daemon’s host; for the operator’s key only. ${wholeOrNothing}`,
    request: bodyOf(schema.importImageBody, {
      name: 'alpine-3.20',
      directory: '/srv/roots/alpine',
      kernel: 'host',
      min_memory_mib: 96,
      shared: true,
    }),
    responses: {
      201: imageAnswer,
      ...invalid('directory must be given, or tarball in its place, and not both'),
      ...importFailures,
      403: failure(
        'The key is not the operator’s.',
        'FORBIDDEN',
        'only the operator imports files of this host',
      ),
      ...bodyRefused,
    },
  }),
  upload: createRoute({
    method: 'put',
    path: '/{name}',
    operationId: 'uploadImage',
    tags,
    ...needs('machines:write', { body: { kind: 'stream' }, query: 'declared' }),
    summary: 'Upload an image',
    description: `The body is a tar archive of a root directory, plain or packed with gzip, zstd, xz or bzip2, of at most 64 GiB unpacked; each file, directory and link counts 8 KiB beside its content, and there are at most 2,000,000. Something in it must be executable; /proc, /sys, /dev, /run, /etc and /tmp are made where they are missing. The image is your tenant’s own. ${wholeOrNothing}`,
    request: {
      params: schema.uploadParams,
      query: schema.uploadQuery,
      body: {
        required: true,
        content: {
          'application/octet-stream': {
            schema: z.string().openapi({ format: 'binary', description: 'The archive.' }),
          },
        },
      },
    },
    responses: {
      201: imageAnswer,
      ...invalid('the archive cannot be unpacked: This does not look like a tar archive'),
      408: failure(
        'The body stands still for 60 s, or comes at less than 1 MiB in 10 s with 20 s to spare. Time counts from its turn on.',
        'TIMEOUT',
        'the upload stood still, or came at less than 1 MiB in 10 seconds',
        true,
      ),
      415: bodyRefused[415],
      ...importFailures,
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/',
    operationId: 'listImages',
    tags,
    ...needs('machines:read', { query: 'declared' }),
    summary: 'List images',
    description: 'A page of the images you can see, by name: the shared ones and your tenant’s own.',
    request: { query: schema.listImagesQuery },
    responses: {
      200: json('A page of images, by name.', schema.imageList),
      ...invalid('limit must be at most 1000'),
      ...commonFailures,
    },
  }),
  get: createRoute({
    method: 'get',
    path: '/{name}',
    operationId: 'getImage',
    tags,
    ...needs('machines:read'),
    summary: 'Get an image',
    request: { params: schema.imageParams },
    responses: {
      200: imageAnswer,
      ...invalid('name must have at most 128 characters'),
      ...commonFailures,
      ...notFound,
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{name}',
    operationId: 'deleteImage',
    tags,
    ...needs('machines:write'),
    summary: 'Delete an image',
    description: 'One that was imported and that no machine uses. Shared ones are the operator’s to delete.',
    request: { params: schema.imageParams },
    responses: {
      204: { description: 'Deleted.' },
      ...invalid('name must have at most 128 characters'),
      ...commonFailures,
      403: failure(
        'It is shared, and the key is not the operator’s.',
        'FORBIDDEN',
        "image 'alpine-3.20' is shared",
      ),
      ...notFound,
      409: failure('It is in use or built in.', 'CONFLICT', "image 'alpine-3.20' is used by 2 machines"),
      ...bodyRefused,
    },
  }),
};

/** With paths below the noun's prefix. */
export const imageRoutes: readonly RouteConfig[] = Object.values(routes);

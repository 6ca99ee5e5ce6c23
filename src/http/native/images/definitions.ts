/** The documented and validated routes of `/api/v1/images`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../documented.ts';
import * as schema from './schema.ts';

const tags = ['images'];
const imageAnswer = json('The image.', schema.imageBody);
const notFound = {
  404: failure('The image does not exist.', 'NOT_FOUND', 'No image "alpine-3.20"'),
} as const;

const importFailures = {
  ...commonFailures,
  409: failure(
    'An image that you can see has this name already.',
    'CONFLICT',
    "An image named 'alpine-3.20' exists already",
  ),
  503: failure(
    'Temporarily impossible: too little disk space, too many imports or images, the import’s turn did not come in time, or the daemon is shutting down.',
    'RESOURCE_EXHAUSTED',
    '16 imports wait already',
    true,
  ),
  504: failure('The import took too long.', 'TIMEOUT', 'The import did not end within 1200 s', true),
} as const;

const wholeOrNothing =
  'The import is atomic: on failure nothing is left behind. The host builds two images at a time, at most one for each tenant. At most 16 imports wait, one for each tenant, for at most 20 minutes.';

export const routes = {
  import: createRoute({
    method: 'post',
    path: '/',
    operationId: 'importImage',
    tags,
    ...needs('machines:write', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Import an image from the host',
    description: `Makes an image from a directory or a tar archive on the daemon’s host. Needs the operator’s key. ${wholeOrNothing}`,
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
        'Only the operator imports files of this host',
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
    description: `
Makes an image from the body: a tar archive of a root directory, plain or compressed with gzip, zstd, xz or bzip2. Unpacked, it may
have 64 GiB and 2,000,000 entries; each file, directory and link counts 8 KiB in addition to its content. At least one file must be
executable. Missing directories /proc, /sys, /dev, /run, /etc and /tmp are created. The image belongs to your tenant.
${wholeOrNothing}
`.trim(),
    request: {
      params: schema.uploadParams,
      query: schema.uploadQuery,
      body: {
        required: true,
        content: {
          'application/octet-stream': {
            schema: z.string().openapi({ format: 'binary', description: 'The tar archive.' }),
          },
        },
      },
    },
    responses: {
      201: imageAnswer,
      ...invalid('The archive cannot be unpacked: This does not look like a tar archive'),
      408: failure(
        'The body stopped for 60 s, or stayed below 1 MiB in 10 s for more than 20 s. Waiting for its turn does not count.',
        'TIMEOUT',
        'The upload stopped, or was slower than 1 MiB in 10 seconds',
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
    description:
      'Returns one page of the images that you can see, ordered by name: shared ones and your tenant’s own.',
    request: { query: schema.listImagesQuery },
    responses: {
      200: json('One page of images.', schema.imageList),
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
    description:
      'Returns an image that you can see, by name in any spelling: `debian:12` is `debian-12`. Aliases are not followed.',
    request: { params: schema.imageParams },
    responses: {
      200: imageAnswer,
      ...invalid('name must have at most 255 characters'),
      ...commonFailures,
      ...notFound,
    },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{name}',
    operationId: 'deleteImage',
    tags,
    ...needs('machines:write', { body: { kind: 'empty' } }),
    summary: 'Delete an image',
    description:
      'Deletes an imported image that no machine uses, by its exact name. Only the operator can delete shared images.',
    request: { params: schema.imageParams },
    responses: {
      204: { description: 'Deleted.' },
      ...invalid('name must have at most 255 characters'),
      ...commonFailures,
      403: failure(
        'The image is shared, and the key is not the operator’s.',
        'FORBIDDEN',
        "Image 'alpine-3.20' is shared",
      ),
      ...notFound,
      409: failure(
        'The image is in use or built in.',
        'CONFLICT',
        "Image 'alpine-3.20' is used by 2 machines",
      ),
      ...bodyRefused,
    },
  }),
};

/** With paths below the noun's prefix. */
export const imageRoutes: readonly RouteConfig[] = Object.values(routes);

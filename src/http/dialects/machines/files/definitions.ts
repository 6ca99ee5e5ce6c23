/** The documented and validated routes of `/machines/{id}/files`; their handlers are in `routes.ts`. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { needs, smallBodyBytesMax } from '../../../access.ts';
import { bodyOf, bodyRefused, commonFailures, failure, invalid, json } from '../../../documented.ts';
import { machineParams } from '../schema.ts';
import * as schema from './schema.ts';

const tags = ['files'];

const failures = {
  ...commonFailures,
  404: failure(
    'The machine or the file does not exist.',
    'NOT_FOUND',
    '/etc/hostnam: no such file or directory',
  ),
  502: failure('The guest cannot be reached.', 'VSOCK_ERROR', 'Failed to communicate with VM', true),
} as const;
const changed = {
  409: failure(
    'The file was changed meanwhile, or something else is at the path.',
    'CONFLICT',
    '/srv/data: file exists',
  ),
} as const;
const refused = invalid('/etc: is a directory; get it as an archive');
const traversal = {
  400: failure(
    'The request is invalid; the path is relative or contains `..`; the file is too large; or the machine does not run.',
    'PATH_TRAVERSAL_ERROR',
    "Path must be absolute and must not contain '..': '../etc/passwd'",
  ),
};
const slow = {
  408: failure(
    'The body stopped for 60 s.',
    'TIMEOUT',
    'The request body did not arrive within 60 seconds',
    true,
  ),
} as const;
const octets = (description: string) => ({
  'application/octet-stream': { schema: z.string().openapi({ format: 'binary', description }) },
});
const params = machineParams;
const onlyWhole =
  'The answer is cut off if the file changes while it is read, so what arrives whole is of one moment.';

export const routes = {
  write: createRoute({
    method: 'post',
    path: '/{id}/files',
    operationId: 'writeFile',
    tags,
    ...needs('machines:exec', { body: { kind: 'stream' } }),
    summary: 'Write a file from base64',
    description:
      'Hyperfleet’s form, for files of at most 100 MiB. A file that is there is replaced at once and keeps mode and owner; a failed request changes nothing. `PUT /machines/{id}/files/content` takes any size.',
    request: {
      params,
      body: {
        required: true,
        content: {
          'application/json': {
            schema: schema.writeBody as object,
            example: { path: '/root/hello.txt', content: 'aGVsbG8K' },
          },
        },
      },
    },
    responses: {
      200: json('Written.', schema.writeResult),
      ...traversal,
      ...failures,
      ...slow,
      415: bodyRefused[415],
    },
  }),
  read: createRoute({
    method: 'get',
    path: '/{id}/files',
    operationId: 'readFile',
    tags,
    ...needs('machines:exec', { query: 'declared', answer: 'stream' }),
    summary: 'Read a file as base64',
    description: `Hyperfleet’s form, for files of at most 100 MiB. \`GET /machines/{id}/files/content\` has no limit. ${onlyWhole}`,
    request: { params, query: schema.readQuery },
    responses: { 200: json('The file.', schema.readResult), ...traversal, ...failures },
  }),
  stat: createRoute({
    method: 'get',
    path: '/{id}/files/stat',
    operationId: 'statFile',
    tags,
    ...needs('machines:exec', { query: 'declared' }),
    summary: 'Describe a file',
    description:
      'Describes a file or directory; of a symbolic link the link itself, unless `follow` is true.',
    request: { params, query: schema.statQuery },
    responses: { 200: json('The file.', schema.fileStat), ...traversal, ...failures },
  }),
  remove: createRoute({
    method: 'delete',
    path: '/{id}/files',
    operationId: 'deleteFile',
    tags,
    ...needs('machines:exec', { body: { kind: 'empty' }, query: 'declared' }),
    summary: 'Delete a file',
    description:
      'Deletes a file, a link (not its target) or an empty directory; with `recursive` a directory and everything in it. Nothing is deleted if another file system is mounted below.',
    request: { params, query: schema.removeQuery },
    responses: { 204: { description: 'Deleted.' }, ...traversal, ...failures, ...changed, ...bodyRefused },
  }),
  get: createRoute({
    method: 'get',
    path: '/{id}/files/content',
    operationId: 'downloadFile',
    tags,
    ...needs('machines:exec', { query: 'declared', answer: 'stream' }),
    summary: 'Download a file',
    description: `The bytes of a file of any size, as fast as they are read. Understands \`Range\` (one), \`If-None-Match\` and \`If-Range\`. The headers \`X-File-Mode\`, \`X-File-Uid\` and \`X-File-Gid\` describe it; HEAD sends only the headers. ${onlyWhole}`,
    request: { params, query: schema.pathQuery },
    responses: {
      200: { description: 'The file.', content: octets('The content.') },
      206: { description: 'A part of the file.', content: octets('The part.') },
      304: { description: 'The file is the one that you have.' },
      ...refused,
      ...failures,
      416: failure(
        'The file has no such part.',
        'VALIDATION_ERROR',
        "Range 'bytes=100-' is outside of the file, which has 12 bytes",
      ),
      ...changed,
    },
  }),
  put: createRoute({
    method: 'put',
    path: '/{id}/files/content',
    operationId: 'uploadFile',
    tags,
    ...needs('machines:exec', { body: { kind: 'stream' }, query: 'declared' }),
    summary: 'Upload a file',
    description:
      'Writes the body to a file, of any size. Nobody in the guest sees a part of it: the new content replaces the old one at the end, synced to the disk, and a request that is cut off changes nothing. Through a symbolic link its target is written; devices and files of /proc and /sys are written in place.',
    request: {
      params,
      query: schema.putQuery,
      body: { required: false, content: octets('The content. Without a body the file is empty.') },
    },
    responses: {
      200: json('The file, as it is now.', schema.fileEntry),
      ...refused,
      ...failures,
      ...slow,
      ...changed,
      415: bodyRefused[415],
    },
  }),
  list: createRoute({
    method: 'get',
    path: '/{id}/files/list',
    operationId: 'listFiles',
    tags,
    ...needs('machines:exec', { query: 'declared' }),
    summary: 'List a directory',
    description: 'Returns one page of the files in a directory, by name in byte order.',
    request: { params, query: schema.listQuery },
    responses: { 200: json('One page.', schema.fileList), ...refused, ...failures },
  }),
  mkdir: createRoute({
    method: 'post',
    path: '/{id}/files/mkdir',
    operationId: 'makeDirectory',
    tags,
    ...needs('machines:exec', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Make a directory',
    description: 'Makes a directory.',
    request: { params, ...bodyOf(schema.mkdirBody, { path: '/srv/data', parents: true }) },
    responses: {
      200: json('The directory.', schema.fileEntry),
      ...refused,
      ...failures,
      ...changed,
      ...bodyRefused,
    },
  }),
  move: createRoute({
    method: 'post',
    path: '/{id}/files/move',
    operationId: 'moveFile',
    tags,
    ...needs('machines:exec', { body: { kind: 'json', bytesMax: smallBodyBytesMax } }),
    summary: 'Move a file',
    description: 'Renames a file or directory, within one file system of the guest.',
    request: { params, ...bodyOf(schema.moveBody, { from: '/srv/data.new', to: '/srv/data' }) },
    responses: {
      200: json('The file at its new path.', schema.fileEntry),
      ...refused,
      ...failures,
      ...changed,
      ...bodyRefused,
    },
  }),
  pack: createRoute({
    method: 'get',
    path: '/{id}/files/archive',
    operationId: 'downloadArchive',
    tags,
    ...needs('machines:exec', { query: 'declared', answer: 'stream' }),
    summary: 'Download a tree',
    description: `A tar archive of a file or a directory with everything in it; its first entry is named like the path’s last part, or as \`name\` says. Owners, modes, times, links, holes, devices and extended attributes are kept, sockets are left out, and other file systems below are not entered. ${onlyWhole}`,
    request: { params, query: schema.packQuery },
    responses: {
      200: { description: 'The archive.', content: octets('The archive, in pax format.') },
      ...refused,
      ...failures,
    },
  }),
  unpack: createRoute({
    method: 'put',
    path: '/{id}/files/archive',
    operationId: 'uploadArchive',
    tags,
    ...needs('machines:exec', { body: { kind: 'stream' }, query: 'declared' }),
    summary: 'Upload a tree',
    description:
      'Unpacks the body, a tar archive without compression, into a directory. Each of its files appears whole or not at all, and replaces one that is there; a directory never replaces a file, nor a file a directory. No name or link in it leads out of the directory.',
    request: {
      params,
      query: schema.unpackQuery,
      body: { required: false, content: octets('The archive. Without a body it is empty.') },
    },
    responses: {
      200: json('Unpacked.', schema.unpackResult),
      ...refused,
      ...failures,
      ...slow,
      ...changed,
      415: bodyRefused[415],
    },
  }),
  watch: createRoute({
    method: 'get',
    path: '/{id}/files/watch',
    operationId: 'watchFiles',
    tags,
    ...needs('machines:exec', { query: 'declared', answer: 'stream' }),
    summary: 'Watch files',
    description:
      'Server-sent events for each change of a file, of the files in a directory or, with `recursive`, of a whole tree of at most 8192 directories. `overflow` means that changes were lost: look again. Ends when the path is gone.',
    request: { params, query: schema.watchQuery },
    responses: {
      200: { description: 'The changes.', content: { 'text/event-stream': { schema: schema.fileChange } } },
      ...refused,
      ...failures,
    },
  }),
} satisfies Record<string, RouteConfig>;

export const fileRoutes: readonly RouteConfig[] = Object.values(routes);

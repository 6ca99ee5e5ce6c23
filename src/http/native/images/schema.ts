/** What `/api/v1/images` accepts and sends. */
import { z } from '@hono/zod-openapi';
import {
  closed,
  closedQuery,
  moment,
  noNul,
  noNulPattern,
  openApi31,
  pageQuery,
  wholeNumber,
} from '../../schema.ts';

const namePattern = /^[a-z0-9](?:[a-z0-9_-]|\.(?!\.)){0,126}$/;
const memoryMibLimits = { least: 16, most: 1_048_576, usual: 96 } as const;

const name = z
  .string()
  .regex(
    namePattern,
    'must be 1 to 127 of a-z, 0-9, ., _ and -, begin with a letter or digit and not have two dots in a row',
  )
  .openapi({ description: 'Unique among the images you can see.', example: 'alpine-3.20' });

const kernel = z.enum(['host', 'image']).openapi({
  description:
    '`host`: guests boot with this host’s kernel. `image`: with the newest in the image, `/boot/vmlinuz-<release>` or `/boot/vmlinux-<release>`, and its `/lib/modules/<release>`.',
  example: 'host',
});
const memoryMibMin = z.number().int().min(memoryMibLimits.least).max(memoryMibLimits.most);
const hostPath = z.string().min(1).max(4095).refine(noNul, 'must not contain NUL');

export const importImageBody = closed({
  name,
  directory: hostPath.optional().openapi({
    description: 'Absolute path of a directory on the daemon’s host: the root directory of the image.',
    pattern: noNulPattern,
    example: '/srv/roots/alpine',
  }),
  tarball: hostPath.optional().openapi({
    description:
      'Absolute path of a tar archive on the daemon’s host: plain, or packed with gzip, zstd, xz or bzip2.',
    pattern: noNulPattern,
    example: '/srv/roots/alpine.tar.gz',
  }),
  kernel: kernel.default('host'),
  min_memory_mib: memoryMibMin.default(memoryMibLimits.usual).openapi({
    description: 'The least memory a machine with this image may have, in MiB.',
    example: 96,
  }),
  shared: z.boolean().default(false).openapi({
    description: 'For everyone on this host, not for your tenant alone.',
    example: false,
  }),
})
  .refine((body) => (body.directory === undefined) !== (body.tarball === undefined), {
    path: ['directory'],
    message: 'must be given, or tarball in its place, and not both',
  })
  .openapi('ImportImage', openApi31({ 'x-exactly-one-of': ['directory', 'tarball'] }));
export type ImportImageBody = z.infer<typeof importImageBody>;

export const uploadQuery = closedQuery({
  kernel: kernel.default('host'),
  min_memory_mib: wholeNumber(memoryMibMin.default(memoryMibLimits.usual)).openapi({
    param: { description: 'The least memory a machine with this image may have, in MiB.' },
  }),
});

export const uploadParams = z.object({ name: name.openapi({ param: { description: 'The image’s name.' } }) });

export const imageParams = z.object({
  name: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'The image’s name.' }, example: 'busybox' }),
});

export const listImagesQuery = closedQuery(pageQuery('Images'));

export const imageBody = z
  .object({
    name: z.string().openapi({ example: 'alpine-3.20' }),
    digest: z.string().openapi({
      description: 'Of the root file system, which never changes.',
      example: `sha256:${'0f'.repeat(32)}`,
    }),
    size_mib: z.int().openapi({ description: 'The least size of a machine’s disk, in MiB.', example: 128 }),
    min_memory_mib: z.int().openapi({ example: 96 }),
    kernel,
    kernel_release: z.string().nullable().openapi({
      description: 'What `uname -r` says; null for this host’s kernel, which set-up may replace.',
      example: null,
    }),
    built_in: z.boolean().openapi({ description: 'Made by set-up; cannot be deleted.', example: false }),
    shared: z.boolean().openapi({ description: 'Everyone on this host sees it.', example: false }),
    created_at: moment,
  })
  .openapi('Image');
export type ImageBody = z.infer<typeof imageBody>;

export const imageList = z
  .object({
    images: z.array(imageBody),
    total: z.int().openapi({ description: 'Images you can see, on all pages.', example: 1 }),
  })
  .openapi('ImageList');

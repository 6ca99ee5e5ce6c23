/** What `/api/v1/images` accepts and sends. */
import { z } from '@hono/zod-openapi';
import { imageNameCharactersMax, imageNamePattern, imageNameRule } from '../../../core/images/names.ts';
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

const memoryMibLimits = { least: 16, most: 1_048_576, usual: 96 } as const;

const name = z
  .string()
  .max(imageNameCharactersMax, imageNameRule)
  .regex(imageNamePattern, imageNameRule)
  .openapi({
    description:
      'Unique among the images you can see, at most 240 characters. It may contain a registry, a path and a tag: `ghcr.io/org/app:1`, which in a URL path may stand as it is or percent-encoded.',
    example: 'alpine-3.20',
  });

const kernel = z.enum(['host', 'image']).openapi({
  description:
    'Kernel of the guests. `host`: this host’s kernel. `image`: the newest kernel in the image, `/boot/vmlinuz-<release>` or `/boot/vmlinux-<release>`, with its `/lib/modules/<release>`.',
  example: 'host',
});
const memoryMibMin = z.number().int().min(memoryMibLimits.least).max(memoryMibLimits.most);
const hostPath = z.string().min(1).max(4095).refine(noNul, 'must not contain NUL');

export const importImageBody = closed({
  name,
  directory: hostPath.optional().openapi({
    description: 'Absolute path of a root directory on the daemon’s host.',
    pattern: noNulPattern,
    example: '/srv/roots/alpine',
  }),
  tarball: hostPath.optional().openapi({
    description:
      'Absolute path of a tar archive on the daemon’s host: plain, or compressed with gzip, zstd, xz or bzip2.',
    pattern: noNulPattern,
    example: '/srv/roots/alpine.tar.gz',
  }),
  kernel: kernel.default('host'),
  min_memory_mib: memoryMibMin.default(memoryMibLimits.usual).openapi({
    description: 'Minimum memory of a machine with this image, in MiB.',
    example: 96,
  }),
  shared: z.boolean().default(false).openapi({
    description: 'Whether all tenants of this host can use the image. Default: only yours.',
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
    param: { description: 'Minimum memory of a machine with this image, in MiB.' },
  }),
});

export const uploadParams = z.object({
  name: name.openapi({ param: { description: 'Name of the image.' } }),
});

export const imageParams = z.object({
  name: z
    .string()
    .min(1)
    .max(255)
    .openapi({ param: { description: 'Name of the image. Write `/` as `%2F`.' }, example: 'busybox' }),
});

export const listImagesQuery = closedQuery(pageQuery('Images'));

export const imageBody = z
  .object({
    name: z.string().openapi({ description: 'Unique among the images you can see.', example: 'alpine-3.20' }),
    digest: z.string().openapi({
      description: 'Checksum of the root file system, which never changes.',
      example: `sha256:${'0f'.repeat(32)}`,
    }),
    size_mib: z.int().openapi({ description: 'Minimum size of a machine’s disk, in MiB.', example: 128 }),
    min_memory_mib: z.int().openapi({ description: 'Minimum memory of a machine, in MiB.', example: 96 }),
    kernel,
    kernel_release: z.string().nullable().openapi({
      description:
        'Release of the image’s own kernel, as `uname -r` shows it; null if guests use the host’s kernel.',
      example: null,
    }),
    built_in: z.boolean().openapi({ description: 'Made by set-up; cannot be deleted.', example: false }),
    shared: z
      .boolean()
      .openapi({ description: 'Whether all tenants of this host can use it.', example: false }),
    created_at: moment,
  })
  .openapi('Image');
export type ImageBody = z.infer<typeof imageBody>;

export const imageList = z
  .object({
    images: z.array(imageBody).openapi({ description: 'Images on this page.' }),
    total: z.int().openapi({ description: 'Number of images you can see on all pages.', example: 1 }),
  })
  .openapi('ImageList');

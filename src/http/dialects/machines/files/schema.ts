/** What requests about files and their answers look like. */
import { z } from '@hono/zod-openapi';
import { fileChangeTypes, fileTypes, guestListMax } from '../../../../core/ports/guest-files.ts';
import { closed, closedQuery, flag, noNul, noNulPattern, wholeNumber } from '../../../schema.ts';

const pathBytesMax = 4095;

/** Groups of four; the last may be padded. */
const base64Pattern = '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$';

const path = z
  .string()
  .min(1)
  .max(pathBytesMax)
  .refine(noNul, 'must not contain NUL')
  .openapi({ pattern: noNulPattern, example: '/etc/hostname' });

/** Hyperfleet's routes refuse other paths with an error of their own. */
const anyPathParameter = path.openapi({
  param: { description: 'An absolute path in the guest, without `..`.' },
});

const absolutePath = path
  .regex(/^\//, 'must be absolute')
  .openapi({ pattern: '^/[^\\u0000]*$', example: '/etc/hostname' });
const pathParameter = absolutePath.openapi({ param: { description: 'An absolute path in the guest.' } });

const mode = z
  .string()
  .regex(/^[0-7]{3,4}$/, 'must be three or four octal digits, such as 0644')
  .optional()
  .openapi({ example: '0644' });
const owner = z.string().min(1).max(256).refine(noNul, 'must not contain NUL').optional();
const ownerWords = 'Who gets it: USER or USER:GROUP, each by name or number in the guest.';

const attributeFields = {
  mode: mode.openapi({ description: 'Permissions in octal digits. Default: as before, else 0755.' }),
  owner: owner.openapi({
    pattern: noNulPattern,
    description: `${ownerWords} Default: as before, else root.`,
  }),
};

const parents = flag('Whether to make the missing directories above it.');

export const readQuery = closedQuery({ path: anyPathParameter });
export const pathQuery = closedQuery({ path: pathParameter });
export const statQuery = closedQuery({
  path: anyPathParameter,
  follow: flag('Whether to describe what a symbolic link points to instead of the link.'),
});
export const removeQuery = closedQuery({
  path: anyPathParameter,
  recursive: flag('Whether to remove a directory with everything in it.'),
});
export const putQuery = closedQuery({
  path: pathParameter,
  mode: mode.openapi({
    param: { description: 'Permissions in octal digits. Default: as before, else 0644.' },
  }),
  owner: owner.openapi({
    pattern: noNulPattern,
    param: { description: `${ownerWords} Default: as before, else root.` },
  }),
  parents,
});
export const packQuery = closedQuery({
  path: pathParameter,
  name: z
    .string()
    .min(1)
    .max(255)
    .refine((name) => name !== '..' && !/[/\0]/.test(name), 'must be one part of a path')
    .optional()
    .openapi({
      pattern: '^[^/\\u0000]+$',
      param: {
        description:
          'The name of the first entry. Default: the path’s last part. `.` makes an archive of what is in the directory.',
      },
    }),
});
export const unpackQuery = closedQuery({
  path: pathParameter,
  owner: owner.openapi({
    pattern: noNulPattern,
    param: { description: `${ownerWords} Default: as the archive says.` },
  }),
  parents,
});
export const watchQuery = closedQuery({
  path: pathParameter,
  recursive: flag('Whether to watch all directories below, too.'),
});
export const listQuery = closedQuery({
  path: pathParameter,
  after: z
    .string()
    .max(255)
    .default('')
    .openapi({
      param: { description: 'Only names after this one: the `next` of the page before.' },
    }),
  limit: wholeNumber(z.number().int().min(1).max(guestListMax).default(100)).openapi({
    param: { description: `Maximum number of files to return, at most ${guestListMax}.` },
  }),
});

/** The form of Hyperfleet. No zod schema, because the handler reads the body as it arrives. */
export const writeBody = {
  type: 'object',
  additionalProperties: false,
  required: ['path', 'content'],
  properties: {
    path: {
      type: 'string',
      minLength: 1,
      maxLength: pathBytesMax,
      description: 'An absolute path in the guest, without `..`.',
    },
    content: {
      type: 'string',
      format: 'byte',
      pattern: base64Pattern,
      description: 'The whole content, in base64 with padding. It must come after `path`.',
    },
  },
} as const;
export const mkdirBody = closed({
  path: absolutePath.openapi({ description: 'An absolute path in the guest.', example: '/srv/data' }),
  parents: z.boolean().default(false).openapi({
    description: 'Whether to make the missing directories above it, and to accept an existing one.',
  }),
  ...attributeFields,
});
export const moveBody = closed({
  from: absolutePath.openapi({ description: 'The file or directory to move.', example: '/srv/data.new' }),
  to: absolutePath.openapi({ description: 'Its new path.', example: '/srv/data' }),
  overwrite: z.boolean().default(false).openapi({
    description: 'Whether to replace a file, or an empty directory, that is there.',
  }),
});

export const fileEntry = z
  .object({
    name: z.string().openapi({ example: 'hostname' }),
    name_base64: z.string().nullable().openapi({
      description: 'All bytes of a name that is not UTF-8; `name` has replacements for some.',
    }),
    type: z.enum(fileTypes),
    size: z.number().openapi({ description: 'Bytes.', example: 12 }),
    mode: z.string().openapi({ description: 'Permissions in octal digits.', example: '0644' }),
    uid: z.number(),
    gid: z.number(),
    owner: z.string().nullable().openapi({ description: 'The name of its user in the guest.' }),
    group: z.string().nullable().openapi({ description: 'The name of its group in the guest.' }),
    modified_at: z.iso.datetime(),
    version: z.string().openapi({ description: 'Another one after each change; the ETag of the content.' }),
    target: z.string().nullable().openapi({ description: 'What a symbolic link points to.' }),
  })
  .openapi('File');

export const fileStat = fileEntry
  .extend({
    path: z.string(),
    mod_time: z.iso.datetime().openapi({ description: 'Hyperfleet’s name of `modified_at`.' }),
    is_dir: z.boolean(),
  })
  .openapi('FileStat');

export const fileList = z
  .object({
    path: z.string(),
    entries: z.array(fileEntry),
    next: z
      .string()
      .nullable()
      .openapi({ description: 'The `after` of the next page; null on the last one.' }),
  })
  .openapi('FileList');

export const writeResult = z
  .object({ success: z.literal(true), bytes_written: z.number() })
  .openapi('FileWritten');
export const readResult = z
  .object({
    content: z.string().openapi({ format: 'byte', description: 'In base64.', example: 'aGVsbG8K' }),
    size: z.number(),
  })
  .openapi('FileContent');
export const unpackResult = z
  .object({ count: z.number().openapi({ description: 'Files, links and directories.' }) })
  .openapi('ArchiveUnpacked');

export const fileChange = z
  .object({
    type: z.enum(fileChangeTypes),
    path: z.string().nullable(),
    is_directory: z.boolean(),
    cookie: z.number().openapi({ description: 'The same for both ends of one move; else 0.' }),
  })
  .openapi('FileChange');

export type FileBody = z.infer<typeof fileEntry>;

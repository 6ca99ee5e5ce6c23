/** Fields shared by creating and changing a machine, and the filters of lists. */
import { z } from '@hono/zod-openapi';
import { restartPolicies } from '../../../core/machines/machine.ts';
import { nameCharactersMax, namePattern, nameRule } from '../../../core/machines/names.ts';
import { entriesBytesMax, entriesMax } from '../../../core/machines/update.ts';
import { noNul, noNulPattern, openApi31 } from '../../schema.ts';

/** Linux takes 128 KiB with the NUL byte. This counts characters; the guest link counts their bytes. */
const argumentBytesMax = 131_071;

/** An argument or an environment variable's value. */
export const argument = z
  .string()
  .max(argumentBytesMax)
  .refine(noNul, 'must not contain NUL')
  .openapi({ pattern: noNulPattern });

export const envName = z
  .string()
  .min(1)
  .refine((key) => !/[=\0]/.test(key), 'must not contain = or NUL');
/** `envName` for the document. */
export const envNames = { minLength: 1, pattern: '^[^=\\u0000]*$' } as const;

export const nameField = z.string().min(1).max(nameCharactersMax).regex(namePattern, nameRule).openapi({
  description:
    'Unique among your machines: letters, digits, `.`, `_` and `-`, as in a host name, but not 12 small letters and digits, which is an id.',
  example: 'web-server',
});

const labelName = z.string().min(1).max(63);
const labelValue = z.string().max(255);
const labelNames = { minLength: 1, maxLength: 63 } as const;

const isFew = (entries: object) => Object.keys(entries).length <= entriesMax;
const isSmall = (entries: object) => Buffer.byteLength(JSON.stringify(entries)) <= entriesBytesMax;
const tooMany = `must be at most ${entriesMax}`;
const tooLarge = `must take at most ${entriesBytesMax} bytes in all`;
const named = (propertyNames: object) => openApi31({ maxProperties: entriesMax, propertyNames });

export const labelsField = z
  .record(labelName, labelValue)
  .refine(isFew, tooMany)
  .refine(isSmall, tooLarge)
  .openapi({
    description: 'Yours to give; lists can be filtered by them. At most 16 KiB of JSON in all.',
    ...named(labelNames),
    example: { team: 'web' },
  });

export const labelChanges = z
  .record(labelName, labelValue.nullable())
  .refine(isFew, tooMany)
  .openapi({
    description: 'Labels to set; null removes one. Others stay.',
    ...named(labelNames),
    example: { team: 'web', old: null },
  });

export const envField = z
  .record(envName, argument)
  .refine(isFew, tooMany)
  .refine(isSmall, tooLarge)
  .openapi({
    description: 'Variables of every command that is run in it. At most 16 KiB of JSON in all.',
    ...named(envNames),
    example: { LANG: 'C.UTF-8' },
  });

export const envChanges = z
  .record(envName, argument.nullable())
  .refine(isFew, tooMany)
  .openapi({
    description:
      'Variables to set; null removes one. Others stay. The key needs the scope machines:exec, too.',
    ...named(envNames),
    example: { LANG: 'C.UTF-8' },
  });

export const restartField = z.enum(restartPolicies).openapi('RestartPolicy', {
  description:
    '`on-failure`: it is started again when it fails, `always`: also when its guest powers off; with growing delays, and at most 10 times in a row.',
});

/** Ten years. */
const lifetimeSecondsMax = 315_360_000;

export const lifetimeField = z.int().min(1).max(lifetimeSecondsMax).openapi({
  description: 'Seconds from now to its deletion, whatever it does then.',
  example: 3600,
});

/** A query parameter that may be repeated. */
const many = <T extends z.ZodType>(item: T) =>
  z.preprocess(
    (value) => (typeof value === 'string' ? [value] : value),
    z.array(item).min(1).max(16).optional(),
  );

export const sortWords = [
  'created_at',
  '-created_at',
  'updated_at',
  '-updated_at',
  'name',
  '-name',
  'mem_size_mib',
  '-mem_size_mib',
] as const;

export const filterQuery = {
  label: many(z.string().min(1).max(319)).openapi({
    param: { description: '`key=value`, or `key` for any value. Given more than once: all of them.' },
    example: ['team=web'],
  }),
  image: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .openapi({ param: { description: 'An image’s name as given at creation, or a digest.' } }),
  sort: z
    .enum(sortWords)
    .default('-created_at')
    .openapi({ param: { description: '`-`: in descending order.' } }),
};

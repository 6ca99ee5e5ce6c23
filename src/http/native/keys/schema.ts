/** What `/api/v1/keys` accepts and sends. */
import { z } from '@hono/zod-openapi';
import { scopes, tenantPattern } from '../../../core/keys/caller.ts';
import { closed, closedQuery, moment, pageQuery } from '../../schema.ts';

/** Unprintable characters, including lone surrogates. */
const printable = /^[^\p{Cc}\p{Cs}]*$/u;
/** At least to the second, upper case, without leap seconds. */
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

const scope = z.enum(scopes).openapi('Scope', {
  description:
    'What a key may be used for: to look at machines; to create, change and delete them; to run commands in them; everything, keys included.',
});

const fields = {
  name: z.string().min(1).max(128).regex(printable, 'must not contain control characters').openapi({
    description: 'For you to know it by; need not be unique.',
    // OpenAPI cannot express the pattern's flag.
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]*$',
    example: 'ci',
  }),
  scopes: z
    .array(scope)
    .min(1)
    .max(16)
    .openapi({ example: ['machines:read', 'machines:exec'] }),
};

export const createKeyBody = closed({
  ...fields,
  expires_at: z.iso
    .datetime({ offset: true, error: 'must be a time such as 2030-01-31T12:00:00Z' })
    .regex(rfc3339, 'must be a time such as 2030-01-31T12:00:00Z')
    .optional()
    .openapi({
      description: 'When it stops being good, in the future, as RFC 3339 says it. Default: never.',
      format: 'date-time',
      pattern: rfc3339.source,
      example: '2126-11-22T08:30:00.000Z',
    }),
  tenant: z
    .string()
    .regex(tenantPattern, 'must be 1 to 63 of a-z, 0-9 and -, and not begin with -')
    .optional()
    .openapi({
      description: 'Whose machines it is for. Default: yours, and only the operator may name another.',
      example: 'default',
    }),
}).openapi('CreateKey');
export type CreateKeyBody = z.infer<typeof createKeyBody>;

export const keyBody = z
  .object({
    id: z.string().openapi({ example: 'm4t8w1x6c3ra' }),
    ...fields,
    tenant: z.string().openapi({ example: 'default' }),
    prefix: z.string().openapi({ description: 'How the key begins.', example: 'hf_5Gd0aQzX' }),
    created_at: moment,
    expires_at: moment.nullable().openapi({ description: 'Null: never.', example: null }),
    last_used_at: moment
      .nullable()
      .openapi({ description: 'To the minute; null before the first use.', example: null }),
    revoked_at: moment.nullable().openapi({ description: 'Null while it is good.', example: null }),
    created_by: z.string().nullable().openapi({
      description: 'The key it was made with, and with which it is revoked; null: the operator’s.',
      example: null,
    }),
  })
  .openapi('Key');
export type KeyBody = z.infer<typeof keyBody>;

export const createdKeyBody = keyBody
  .extend({
    key: z.string().openapi({
      description: 'The key itself. It is shown here and never again.',
      example: 'hf_5Gd0aQzXb7Lr2YtVw9KpEu4NsHc6MjTf',
    }),
  })
  .openapi('CreatedKey');
export type CreatedKeyBody = z.infer<typeof createdKeyBody>;

export const keyList = z
  .object({
    keys: z.array(keyBody),
    total: z.int().openapi({ description: 'Keys that match, on all pages.', example: 1 }),
  })
  .openapi('KeyList');

export const listKeysQuery = closedQuery(pageQuery('Keys'));

export const keyParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'The key’s id.' }, example: 'm4t8w1x6c3ra' }),
});

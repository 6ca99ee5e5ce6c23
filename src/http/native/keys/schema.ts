/** What `/api/v1/keys` accepts and sends. */
import { z } from '@hono/zod-openapi';
import { scopes, tenantPattern } from '../../../core/keys/caller.ts';
import { keyTiers } from '../../../core/quotas/tiers.ts';
import { closed, closedQuery, moment, pageQuery } from '../../schema.ts';

/** Unprintable characters, including lone surrogates. */
const printable = /^[^\p{Cc}\p{Cs}]*$/u;
/** At least to the second, upper case, without leap seconds. */
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:[0-5]\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;

const scope = z.enum(scopes).openapi('Scope', {
  description:
    'What a key permits. `machines:read`: read machines, images and operations. `machines:write`: create, change and delete machines and images. `machines:exec`: run commands. `*`: everything, including keys.',
});

const tier = z.enum(keyTiers).openapi({
  description:
    'Limits requests and machines: free 60 requests a minute and 5 machines, pro 600 and 50, enterprise neither.',
});

const fields = {
  name: z.string().min(1).max(128).regex(printable, 'must not contain control characters').openapi({
    description: 'For people; need not be unique. At most 128 characters.',
    // OpenAPI cannot express the pattern's flag.
    pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]*$',
    example: 'ci',
  }),
  scopes: z
    .array(scope)
    .min(1)
    .max(16)
    .openapi({ description: 'What the key permits.', example: ['machines:read', 'machines:exec'] }),
};

export const createKeyBody = closed({
  ...fields,
  expires_at: z.iso
    .datetime({ offset: true, error: 'must be a time such as 2030-01-31T12:00:00Z' })
    .regex(rfc3339, 'must be a time such as 2030-01-31T12:00:00Z')
    .optional()
    .openapi({
      description:
        'Time at which the key expires, in RFC 3339 format. Must be in the future. Default: never.',
      format: 'date-time',
      pattern: rfc3339.source,
      example: '2126-11-22T08:30:00.000Z',
    }),
  tenant: z
    .string()
    .regex(tenantPattern, 'must be 1 to 63 of a-z, 0-9 and -, and not begin with -')
    .optional()
    .openapi({
      description: 'Tenant that the key acts for. Default: yours. Only the operator can choose another.',
      example: 'default',
    }),
  tier: tier
    .nullable()
    .optional()
    .openapi({ description: 'Null: no limits by the key. Default: that of the key that makes it.' }),
}).openapi('CreateKey');
export type CreateKeyBody = z.infer<typeof createKeyBody>;

export const keyBody = z
  .object({
    id: z.string().openapi({ description: 'Identifier of the key.', example: 'm4t8w1x6c3ra' }),
    ...fields,
    tenant: z.string().openapi({ description: 'Tenant that the key acts for.', example: 'default' }),
    tier: tier.nullable().openapi({ description: 'Null: the key has no limits.', example: null }),
    prefix: z
      .string()
      .openapi({ description: 'First eleven characters of the secret.', example: 'hf_5Gd0aQzX' }),
    created_at: moment,
    expires_at: moment
      .nullable()
      .openapi({ description: 'Time (UTC) of expiry; null if it never expires.', example: null }),
    last_used_at: moment.nullable().openapi({
      description: 'Time (UTC) of the latest use, exact to a minute; null before the first use.',
      example: null,
    }),
    revoked_at: moment
      .nullable()
      .openapi({ description: 'Time (UTC) of revocation; null if not revoked.', example: null }),
    created_by: z.string().nullable().openapi({
      description:
        'Id of the key that created it. Revoking that key revokes this one. Null for the operator’s key.',
      example: null,
    }),
  })
  .openapi('Key');
export type KeyBody = z.infer<typeof keyBody>;

export const createdKeyBody = keyBody
  .extend({
    key: z.string().openapi({
      description: 'The secret. It is never shown again.',
      example: 'hf_5Gd0aQzXb7Lr2YtVw9KpEu4NsHc6MjTf',
    }),
  })
  .openapi('CreatedKey');
export type CreatedKeyBody = z.infer<typeof createdKeyBody>;

export const keyList = z
  .object({
    keys: z.array(keyBody).openapi({ description: 'Keys on this page.' }),
    total: z.int().openapi({ description: 'Number of keys on all pages.', example: 1 }),
  })
  .openapi('KeyList');

export const listKeysQuery = closedQuery(pageQuery('Keys'));

export const keyParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id of the key.' }, example: 'm4t8w1x6c3ra' }),
});

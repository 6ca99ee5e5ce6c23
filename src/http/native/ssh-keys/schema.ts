/** What `/api/v1/ssh-keys` accepts and sends. */
import { z } from '@hono/zod-openapi';
import { publicKeyCharactersMax } from '../../../core/ssh/public-key.ts';
import { sshKeyNameCharactersMax } from '../../../core/ssh/service.ts';
import { closed, closedQuery, moment, pageQuery } from '../../schema.ts';

const examplePublicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGYZyk6oQ1ZLYO3FBVC2Nn5cZNa9nsDkBqyqvRz3vHTt';
/** Unprintable characters, including lone surrogates. */
const printable = /^[^\p{Cc}\p{Cs}]*$/u;

export const createSshKeyBody = closed({
  name: z
    .string()
    .min(1)
    .max(sshKeyNameCharactersMax)
    .regex(printable, 'must not contain control characters')
    .optional()
    .openapi({
      description: 'For people; unique within the tenant. Default: the key’s comment, or its fingerprint.',
      // OpenAPI cannot express the pattern's flag.
      pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\ud800-\\udfff]*$',
      example: 'laptop',
    }),
  public_key: z
    .string()
    .min(1)
    .max(publicKeyCharactersMax)
    .openapi({
      description:
        'The content of a file such as `~/.ssh/id_ed25519.pub`: Ed25519, ECDSA, or RSA from 2048 bits. Never a private key.',
      example: `${examplePublicKey} me@laptop`,
    }),
}).openapi('CreateSshKey');
export type CreateSshKeyBody = z.infer<typeof createSshKeyBody>;

export const sshKeyBody = z
  .object({
    id: z.string().openapi({ example: 's4t8w1x6c3ra' }),
    name: z.string().openapi({ example: 'laptop' }),
    public_key: z.string().openapi({ description: 'Without its comment.', example: examplePublicKey }),
    fingerprint: z.string().openapi({
      description: 'As `ssh-keygen -l` prints it.',
      example: 'SHA256:3C4hyrTBzF0Zwo1vCjHnKHPRRQ1LuxCqPuGKnBLtTfk',
    }),
    created_by: z.string().nullable().openapi({
      description:
        'Id of the API key that registered it: it has that key’s rights and ends with it. Null: the operator’s.',
      example: null,
    }),
    created_at: moment,
  })
  .openapi('SshKey');
export type SshKeyBody = z.infer<typeof sshKeyBody>;

export const sshKeyList = z
  .object({
    ssh_keys: z.array(sshKeyBody),
    total: z.int().openapi({ description: 'Your SSH keys, on all pages.', example: 1 }),
  })
  .openapi('SshKeyList');

export const listSshKeysQuery = closedQuery(pageQuery('SSH keys'));

export const sshKeyParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id, name or fingerprint.' }, example: 's4t8w1x6c3ra' }),
});

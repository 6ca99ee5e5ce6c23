/** The documented failures of Hatch's routes, in its words. */
import { z } from '@hono/zod-openapi';

const errorBody = z.object({ error: z.string().openapi({ example: 'not found' }) }).openapi('Error');

export const failure = (description: string, error: string) => ({
  description,
  content: { 'application/json': { schema: errorBody, example: { error } } },
});

/** Of any request that needs a key. */
export const common = {
  401: failure('No key, or not a valid one.', 'invalid api key'),
  403: failure('The key does not allow it, or a quota is used up.', 'vm limit reached (5/5)'),
  429: failure('Too many requests for the key’s tier.', 'Rate limit exceeded'),
  500: failure('A defect of ours, or the VM did not boot.', 'the vm did not boot: the VMM ended at once'),
  503: failure('Not now, or not on this host.', 'ssh is not available on this host'),
} as const;
export const invalid = {
  400: failure('The request is wrong, or this host cannot do it.', 'vcpu_count must be from 1 to 32'),
} as const;
export const notFound = { 404: failure('No such thing of yours.', 'not found') } as const;
export const conflict = {
  409: failure('Its state does not allow it.', 'vm is stopped, must be running'),
} as const;
export const taken = {
  409: failure('Another VM has it.', 'the address 10.77.0.32 is taken by another machine'),
} as const;
export const timedOut = { 504: failure('A deadline passed.', 'the disk did not answer in time') } as const;
export const bodyRefused = {
  413: failure('The body is over the limit.', 'request body is larger than 262144 bytes'),
  415: failure(
    'The body is packed, or not UTF-8.',
    'A request body cannot have a Content-Encoding. Send it as it is.',
  ),
} as const;

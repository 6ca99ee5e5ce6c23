/** What `/api/v1/environments` accepts and sends. */
import { z } from '@hono/zod-openapi';
import {
  environmentIdCharactersMax,
  environmentIdPattern,
  environmentStates,
} from '../../../core/environments/environment.ts';
import { environmentMachinesMax, ownerCharactersMax } from '../../../core/environments/service.ts';
import { machineSummary, memberBody } from '../../dialects/machines/schema.ts';
import { closed, closedQuery, moment, noNul, noNulPattern, pageQuery } from '../../schema.ts';

const idRule = 'must be letters, digits, ., _ and -, without a leading dot or two dots in a row';
const lifetimeSecondsMax = 315_360_000;

const id = z.string().min(1).max(environmentIdCharactersMax).regex(environmentIdPattern, idRule).openapi({
  description: 'Unique among your environments.',
  // The rule’s look-ahead is not in every dialect of regular expressions.
  pattern: '^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*[.]?$',
  example: 'ci-42',
});
const lifetimeSeconds = z.int().min(1).max(lifetimeSecondsMax);

export const createEnvironmentBody = closed({
  id,
  owner: z.string().max(ownerCharactersMax).refine(noNul, 'must not contain NUL').optional().openapi({
    description: 'A label for people, by which lists can be filtered. Grants nothing.',
    pattern: noNulPattern,
    example: 'alice',
  }),
  lifetime_seconds: lifetimeSeconds.optional().openapi({
    description:
      'Seconds from now to the deletion of the environment and its machines. Default: 21600. What is longer than the host allows is shortened, and a warning says so.',
    example: 3600,
  }),
  machines: z.array(memberBody).min(1).max(environmentMachinesMax).openapi({
    description: 'Its machines, without lifetimes of their own.',
  }),
}).openapi('CreateEnvironment');
export type CreateEnvironmentBody = z.infer<typeof createEnvironmentBody>;

const fields = {
  id: z.string().openapi({ example: 'ci-42' }),
  owner: z.string().openapi({ description: 'Empty: none was given.', example: 'alice' }),
  state: z.enum(environmentStates).openapi('EnvironmentState', {
    description: '`stopped`: its machines are paused or stopped, and its lifetime stands still.',
  }),
  warnings: z.array(z.string()).openapi({
    description: 'What the last action could not do, one sentence each.',
    example: [],
  }),
  expires_at: moment.nullable().openapi({
    description: 'Time (UTC) at which it is deleted with its machines; null while it is stopped.',
    example: null,
  }),
  created_at: moment,
  updated_at: moment,
};

export const environmentBody = z.object(fields).openapi('Environment');
export type EnvironmentBody = z.infer<typeof environmentBody>;

export const environmentDetail = z
  .object({ ...fields, machines: z.array(machineSummary) })
  .openapi('EnvironmentDetail');
export type EnvironmentDetailBody = z.infer<typeof environmentDetail>;

export const environmentList = z
  .object({
    environments: z.array(environmentBody),
    total: z.int().openapi({ description: 'Environments that match, on all pages.', example: 1 }),
  })
  .openapi('EnvironmentList');

export const listEnvironmentsQuery = closedQuery({
  owner: z
    .string()
    .max(ownerCharactersMax)
    .refine(noNul, 'must not contain NUL')
    .optional()
    .openapi({ description: 'Only those with this owner.', pattern: noNulPattern, example: 'alice' }),
  ...pageQuery('Environments'),
});

export const extendEnvironmentBody = closed({
  lifetime_seconds: lifetimeSeconds.openapi({
    description: 'Seconds from now to its deletion; while it is stopped, from its next start.',
    example: 3600,
  }),
}).openapi('ExtendEnvironment');

export const environmentParams = z.object({
  id: z
    .string()
    .min(1)
    .max(environmentIdCharactersMax)
    .openapi({ param: { description: 'The environment’s id.' }, example: 'ci-42' }),
});

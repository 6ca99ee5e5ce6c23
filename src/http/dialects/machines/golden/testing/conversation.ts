/** The schema of a golden file. */
import { z } from 'zod';
import { errorCodes } from '../../../../../core/errors.ts';
import { scopes } from '../../../../../core/keys/caller.ts';

/** An error raised by an edge; `defect`: an unexpected one. */
const fault = z.strictObject({
  code: z.enum([...errorCodes, 'defect']),
  message: z.string(),
  hint: z.string().optional(),
});
export type Fault = z.infer<typeof fault>;

/** The core states in which a machine can be placed before the conversation. */
export const givenStates = [
  'creating',
  'created',
  'starting',
  'running',
  'pausing',
  'paused',
  'resuming',
  'stopping',
  'stopped',
  'failed',
  'deleting',
] as const;

const givenMachine = z.strictObject({
  /** Its name; its id is captured under the same word. */
  as: z.string(),
  state: z.enum(givenStates),
  vcpu_count: z.int().default(1),
  mem_size_mib: z.int().default(256),
});
export type GivenMachine = z.infer<typeof givenMachine>;

const givenKey = z.strictObject({
  /** The name under which its secret is captured. */
  as: z.string(),
  scopes: z.array(z.enum(scopes)),
  tenant: z.string().optional(),
  end: z.enum(['expired', 'revoked']).optional(),
});
export type GivenKey = z.infer<typeof givenKey>;

const execEvent = z.union([
  z.strictObject({ stdout: z.string() }),
  z.strictObject({ stderr: z.string() }),
  z.strictObject({ exited: z.int() }),
  z.strictObject({ signalled: z.string() }),
  z.strictObject({ timed_out: z.literal(true) }),
  z.strictObject({ unknown: z.string() }),
]);
export type GivenExecEvent = z.infer<typeof execEvent>;

const turns = {
  /** Raised by every read and write of the store; null: the store works again. */
  store: fault.nullable().optional(),
  /** Every state change of a machine finds that another writer was first. */
  isOutrun: z.boolean().optional(),
  /** Raised once, by the next such call of the engine or the disks. */
  next: z
    .partialRecord(z.enum(['launch', 'pause', 'resume', 'stop', 'destroy', 'prepare']), fault)
    .optional(),
  freeMib: z.int().optional(),
  /** The outcome of commands; `tells`: each writes its request to stdout. Default: exit 0. */
  exec: z.union([z.array(execEvent), fault, z.literal('tells')]).optional(),
  /** The result of waiting for a launched guest. */
  ready: z.union([z.enum(['at once', 'never']), fault]).optional(),
};
const turnSchema = z.strictObject(turns);
export type Turn = z.infer<typeof turnSchema>;

const world = z.strictObject({
  ...turns,
  machines: z.array(givenMachine).default([]),
  keys: z.array(givenKey).default([]),
  bodyBytesMax: z.int().optional(),
  bootTimeoutMs: z.int().optional(),
  /** Whether the engine can pause. Default: true. */
  canPause: z.boolean().optional(),
  /** Whether keys are not required. */
  isAuthOff: z.boolean().optional(),
});
export type World = z.infer<typeof world>;

const request = z.strictObject({
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']),
  path: z.string().startsWith('/'),
  /** null: not sent, though it would be by default. */
  headers: z.record(z.string(), z.string().nullable()).default({}),
  /** Sent as JSON. */
  body: z.json().optional(),
  /** Sent unchanged, without a content type other than in `headers`. */
  text: z.string().optional(),
});
export type GoldenRequest = z.infer<typeof request>;

const response = z.strictObject({
  status: z.int(),
  headers: z.record(z.string(), z.string()).default({}),
  /** null: empty. */
  body: z.json(),
});
export type GoldenResponse = z.infer<typeof response>;

const exchange = z.strictObject({
  note: z.string().optional(),
  /** What changes in the world before this exchange. */
  given: turnSchema.optional(),
  request,
  response,
});
export type Exchange = z.infer<typeof exchange>;

export const conversation = z.strictObject({
  title: z.string(),
  source: z.string().regex(/^(?:seed 00[01]|systems §1|product): ./),
  /** Replayed again with this prefix instead of `/machines`. */
  alsoUnder: z.string().startsWith('/').optional(),
  given: world.prefault({}),
  exchanges: z.array(exchange).min(1),
});
export type Conversation = z.infer<typeof conversation>;

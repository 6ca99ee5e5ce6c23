/** The schema of a golden file. */
import { z } from 'zod';
import { errorCodes } from '../../src/core/errors.ts';
import { scopes } from '../../src/core/keys/caller.ts';
import { keyTiers } from '../../src/core/quotas/tiers.ts';

/** An error raised by an edge; `defect`: an unexpected one; `late`: the caller's own deadline has passed. */
const fault = z.strictObject({
  code: z.enum([...errorCodes, 'defect', 'late']),
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
  'suspended',
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

/** An operation under way is held until the conversation is over. */
export const givenEnvironmentStates = [
  'active',
  'stopped',
  'creating',
  'stopping',
  'starting',
  'deleting',
] as const;

const givenEnvironment = z.strictObject({
  id: z.string(),
  state: z.enum(givenEnvironmentStates),
  /** The id of its one machine is captured under this word. */
  as: z.string(),
});
export type GivenEnvironment = z.infer<typeof givenEnvironment>;

const givenKey = z.strictObject({
  /** The name under which its secret is captured. */
  as: z.string(),
  scopes: z.array(z.enum(scopes)),
  tenant: z.string().optional(),
  end: z.enum(['expired', 'revoked']).optional(),
  tier: z.enum(keyTiers).optional(),
  /** Whether the tier's requests of this minute are used up; the minute does not pass. */
  isRateUsed: z.boolean().optional(),
});
export type GivenKey = z.infer<typeof givenKey>;

const execEvent = z.union([
  /** `times`: so often one after the other. */
  z.strictObject({ stdout: z.string(), times: z.int().default(1) }),
  z.strictObject({ stderr: z.string() }),
  z.strictObject({ exited: z.int() }),
  z.strictObject({ signalled: z.string() }),
  z.strictObject({ timed_out: z.literal(true) }),
  z.strictObject({ unknown: z.string() }),
]);
export type GivenExecEvent = z.infer<typeof execEvent>;

/** A command with a log, and how it ends. */
const loggedCommand = z.strictObject({
  pid: z.int(),
  log: z.string(),
  output: z.string().optional(),
  end: z
    .union([
      z.strictObject({ exited: z.int() }),
      z.strictObject({ signalled: z.string() }),
      z.strictObject({ running: z.literal(true) }),
      z.strictObject({ lost: z.string() }),
    ])
    .optional(),
  standing: z.enum(['removed', 'kept', 'gone']).default('removed'),
  isFull: z.boolean().default(false),
});
export type GivenLogged = z.infer<typeof loggedCommand>;

const turns = {
  /** Raised by every read and write of the store; null: the store works again. */
  store: fault.nullable().optional(),
  /** Raised by every call of the image library; null: it works again. */
  images: fault.nullable().optional(),
  /** Raised by every look at the space on the host's disk; null: it works again. */
  disk: fault.nullable().optional(),
  /** Raised by every call about commands that outlive their caller, and about files; null: they work again. */
  guest: fault.nullable().optional(),
  /** Raised by every measurement of a machine; null: it works again. */
  usage: fault.nullable().optional(),
  /** Every state change of a machine finds that another writer was first. */
  isOutrun: z.boolean().optional(),
  /** Raised once, by the next such call of the engine, the disks or the image library. */
  next: z
    .partialRecord(z.enum(['launch', 'pause', 'resume', 'stop', 'destroy', 'prepare', 'import']), fault)
    .optional(),
  freeMib: z.int().optional(),
  /** Whether the host has the machines' engine. Initially true. */
  hasEngine: z.boolean().optional(),
  /** The outcome of commands; `tells`: each writes its request to stdout. Default: exit 0. */
  exec: z.union([z.array(execEvent), fault, z.literal('tells')]).optional(),
  /** The outcome of commands with a log. Default: exit 0. */
  logged: z.union([loggedCommand, fault]).optional(),
  /** The result of waiting for a launched guest. */
  ready: z.union([z.enum(['at once', 'never']), fault]).optional(),
};
const turnSchema = z.strictObject(turns);
export type Turn = z.infer<typeof turnSchema>;

const world = z.strictObject({
  ...turns,
  machines: z.array(givenMachine).default([]),
  environments: z.array(givenEnvironment).default([]),
  keys: z.array(givenKey).default([]),
  bodyBytesMax: z.int().optional(),
  bootTimeoutMs: z.int().optional(),
  /** Whether the engine can pause. Default: true. */
  canPause: z.boolean().optional(),
  /** How many machines the tenant `default` may have. */
  machinesMax: z.int().optional(),
  /** The host's memory. Default: plenty. */
  memoryMib: z.int().optional(),
  /** Whether this daemon runs Rhai scripts, as it does. Default: true. */
  hasRhai: z.boolean().optional(),
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
  /** The content type, if not named here, is JSON's. */
  headers: z.record(z.string(), z.string()).default({}),
  /** null: empty; `$file PATH`: what the file of the repository has; a list for lines of JSON, a text for other types. */
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
  /** Where it is laid down. */
  source: z.string().regex(/^(?:seed 00\d|systems §\d(?:\w|\.\d)?|clients|product|decision \d+): ./),
  /** Replayed again with this prefix instead of `/machines`. */
  alsoUnder: z.string().startsWith('/').optional(),
  /** Replayed again on real guests; then `exec` of a turn is what the guest must do by itself. */
  onRealGuests: z.boolean().optional(),
  given: world.prefault({}),
  exchanges: z.array(exchange).min(1),
});
export type Conversation = z.infer<typeof conversation>;

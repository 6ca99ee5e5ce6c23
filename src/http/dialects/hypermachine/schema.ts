/** What HyperMachine's `/api/v1/vms` accepts and sends. One schema serves validation and the OpenAPI document. */
import { z } from '@hono/zod-openapi';
import { nameCharactersMax, namePattern, nameRule } from '../../../core/machines/names.ts';
import { entriesBytesMax, entriesMax } from '../../../core/machines/update.ts';
import { scriptLanguages } from '../../../core/scripts/service.ts';
import {
  closed,
  closedQuery,
  integerMax,
  moment,
  noNul,
  noNulPattern,
  openApi31,
  wholeNumber,
} from '../../schema.ts';

export const vmStates = [
  'creating',
  'created',
  'starting',
  'running',
  'paused',
  'stopping',
  'stopped',
  'error',
] as const;
export type VmState = (typeof vmStates)[number];

const name = z.string().min(1).max(nameCharactersMax).regex(namePattern, nameRule).openapi({
  description: 'Unique among your virtual machines: letters, digits, `.`, `_` and `-`.',
  example: 'my-first-vm',
});

const network = closed({
  type: z.enum(['nat', 'bridge', 'none']).optional().openapi({ example: 'none' }),
  ip: z
    .string()
    .min(1)
    .max(64)
    .nullable()
    .optional()
    .openapi({ description: 'A static address.', example: null }),
});
const gpu = closed({
  enabled: z.boolean().optional().openapi({ example: false }),
  type: z.enum(['passthrough', 'vgpu']).optional(),
});
const security = closed({
  secure_boot: z.boolean().optional().openapi({ example: false }),
  vtpm: z.boolean().optional().openapi({ example: false }),
  memory_encryption: z.enum(['sev', 'tdx', 'none']).optional().openapi({ example: 'none' }),
});
const option = 'Refused with what is missing when this host cannot give it.';

const metadata = z
  .record(z.string().min(1).max(63), z.string().max(255))
  .refine((entries) => Object.keys(entries).length <= entriesMax, `must be at most ${entriesMax}`)
  .refine(
    (entries) => Buffer.byteLength(JSON.stringify(entries)) <= entriesBytesMax,
    `must take at most ${entriesBytesMax} bytes in all`,
  )
  .nullable()
  .optional()
  .openapi({
    description: 'Texts by name, kept as the machine’s labels. At most 16 KiB of JSON in all.',
    ...openApi31({ maxProperties: entriesMax, propertyNames: { minLength: 1, maxLength: 63 } }),
    example: { team: 'web' },
  });

export const createFields = {
  name,
  cpus: z.int().min(1).max(128).default(1).openapi({ description: 'Processors.', example: 1 }),
  memory_mb: z
    .int()
    .min(512)
    .max(1_048_576)
    .default(1024)
    .openapi({ description: 'Memory in MiB.', example: 512 }),
  disk_gb: z.int().min(1).max(10_000).default(10).openapi({ description: 'Disk in GiB.', example: 1 }),
  image: z.string().min(1).max(255).refine(noNul, 'must not contain NUL').nullable().optional().openapi({
    description:
      'An image’s name, or a reference such as `ubuntu-22.04`, for which the nearest image is taken. Null or absent: the default image.',
    pattern: noNulPattern,
    example: 'debian-12',
  }),
  network: network
    .nullable()
    .optional()
    .openapi({ description: option, example: { type: 'none' } }),
  gpu: gpu
    .nullable()
    .optional()
    .openapi({ description: option, example: { enabled: false } }),
  security: security
    .nullable()
    .optional()
    .openapi({ description: option, example: { secure_boot: false } }),
  network_enabled: z.boolean().nullable().optional().openapi({
    description: 'Sent by HyperMachine’s own clients. `notes` says if the virtual machine has no network.',
    example: false,
  }),
  metadata,
};
export const createBody = closed(createFields).openapi('CreateVm');
export type CreateBody = z.infer<typeof createBody>;

const id = z.string().openapi({ example: 'vm-k3v9x2m1q8zt' });
const state = z.enum(vmStates).openapi('VmState', { description: 'What a virtual machine is or does.' });
const uptimeSeconds = z
  .int()
  .openapi({ description: 'Since its latest start; 0 while it does not run.', example: 12 });

const summaryFields = {
  id,
  name: z.string().openapi({ example: 'my-first-vm' }),
  state,
  cpus: z.int().openapi({ example: 1 }),
  memory_mb: z.int().openapi({ example: 512 }),
  image: z.string().openapi({ example: 'debian-12' }),
  metadata: z.record(z.string(), z.string()).openapi({ example: { team: 'web' } }),
  created_at: moment,
  expires_at: moment.nullable().openapi({ description: 'When it is deleted; null: never.', example: null }),
};
export const vmSummary = z.object(summaryFields).openapi('VmSummary');
export type VmSummaryBody = z.infer<typeof vmSummary>;

const vmFields = {
  ...summaryFields,
  disk_gb: z.number().openapi({ example: 1 }),
  vcpu_count: z.int().openapi({ description: 'The same as `cpus`.', example: 1 }),
  memory_size: z.int().openapi({ description: '`memory_mb` in bytes.', example: 536_870_912 }),
  network: z.object({ type: z.enum(['nat', 'bridge', 'none']), ip: z.string().nullable() }),
  uptime_seconds: uptimeSeconds,
  started_at: moment.nullable().openapi({ description: 'When it last started; null before.', example: null }),
  updated_at: moment,
  operation_id: z
    .string()
    .nullable()
    .openapi({ description: 'The operation under way; null when there is none.', example: null }),
  error: z
    .string()
    .nullable()
    .openapi({ description: 'Why it failed, while its state is `error`.', example: null }),
  image_note: z.string().optional().openapi({
    description: 'How `image` differs from the requested one; absent when they are the same.',
    example: '`ubuntu-22.04` is not an image of this host; an alias maps it to debian-12',
  }),
};
export const vmBody = z.object(vmFields).openapi('Vm');
export type VmBody = z.infer<typeof vmBody>;

export const createdBody = z
  .object({
    ...vmFields,
    notes: z
      .array(z.string())
      .openapi({ description: 'What was understood differently from what it says.', example: [] }),
  })
  .openapi('CreatedVm');
export type CreatedBody = z.infer<typeof createdBody>;

/** Pages of lists: HyperMachine's server shows at most this many. */
export const pageLimitMax = 100;
export const listQuery = closedQuery({
  state: z
    .preprocess((word) => (typeof word === 'string' ? word.toLowerCase() : word), z.enum(vmStates).optional())
    .openapi({ param: { description: 'Only those in this state, in capital or small letters.' } }),
  limit: wholeNumber(z.number().int().min(1).default(20)).openapi({
    maximum: integerMax,
    param: { description: `How many on a page, ${pageLimitMax} where it is more.` },
  }),
  offset: wholeNumber(z.number().int().min(0).default(0)).openapi({
    maximum: integerMax,
    param: { description: 'How many to skip.' },
  }),
});

export const vmList = z
  .object({
    vms: z.array(vmSummary),
    total: z.int().openapi({ description: 'How many match, on all pages.', example: 1 }),
    offset: z.int().openapi({ example: 0 }),
    limit: z.int().openapi({ example: 20 }),
    has_more: z
      .boolean()
      .openapi({ description: 'Whether there are more behind this page.', example: false }),
  })
  .openapi('VmList');

export const vmParams = z.object({
  id: z
    .string()
    .min(1)
    .max(131)
    .openapi({ param: { description: 'Id, with or without `vm-`, or name.' }, example: 'vm-k3v9x2m1q8zt' }),
});

export const vmActions = ['start', 'stop', 'pause', 'resume', 'restart'] as const;
export type VmAction = (typeof vmActions)[number];

export const actionBody = z
  .object({
    id,
    operation: z.enum(vmActions).openapi({ example: 'start' }),
    success: z.literal(true),
    new_state: state,
    state,
  })
  .openapi('VmAction');
export type ActionBody = z.infer<typeof actionBody>;

export const deletedBody = z.object({ id, deleted: z.literal(true) }).openapi('DeletedVm');

const measured = (description: string, example: number) =>
  z
    .number()
    .nullable()
    .openapi({ description: `${description} Null: not measured.`, example });
export const metricsBody = z
  .object({
    id,
    state,
    vcpu_count: z.int().openapi({ example: 1 }),
    memory_size: z.int().openapi({ description: 'Bytes of memory it may use.', example: 536_870_912 }),
    uptime_seconds: uptimeSeconds,
    cpu_time_ms: measured('Processor time since its latest start.', 1500),
    cpu_usage_percent: measured('That as a share of the time that its processors could have run.', 12.5),
    memory_used_bytes: measured('Memory of the host that it occupies.', 134_217_728),
    memory_usage_percent: measured('That as a share of `memory_size`; the VMM’s own memory counts.', 25),
    disk_read_bytes: measured('Read from its disks since its latest start.', 4096),
    disk_write_bytes: measured('Written to its disks since its latest start.', 4096),
    network_rx_bytes: measured('Received by its network.', 0),
    network_tx_bytes: measured('Sent by its network.', 0),
  })
  .openapi('VmMetrics');
export type MetricsBody = z.infer<typeof metricsBody>;

const language = z.enum(scriptLanguages);
const code = z.string().max(1_048_576).optional();
export const scriptFields = {
  language: language.optional().openapi({
    description: '`rhai` runs on the host in a sandbox, the others in the guest. Default: rhai.',
    example: 'sh',
  }),
  code: code.openapi({ description: 'The script: at most 131,071 bytes in the guest.', example: 'uname -r' }),
  timeout_seconds: z
    .int()
    .min(1)
    .max(300)
    .default(30)
    .openapi({ description: 'After this it is ended.', example: 30 }),
};
export const scriptBody = closed({
  ...scriptFields,
  script: code.openapi({ description: 'Another name of `code`, which wins.' }),
  script_type: language.optional().openapi({ description: 'Another name of `language`, which wins.' }),
}).openapi('Script');
export type ScriptBody = z.infer<typeof scriptBody>;

const scriptValue = z.union([
  z.null(),
  z.boolean(),
  z.number(),
  z.string(),
  z.array(z.unknown()).readonly(),
  z.record(z.string(), z.unknown()),
]);
const milliseconds = z.int().openapi({ example: 12 });
const exitCode = z.int().nullable().openapi({
  description: '128 + the signal when a signal ended it; of a Rhai script 0 or 1; null when time ran out.',
  example: 0,
});
export const scriptResult = z
  .object({
    id,
    success: z.boolean().openapi({ example: true }),
    result: scriptValue.openapi({ description: 'The value of a Rhai script.', example: null }),
    output: z.string().openapi({ description: 'The same as `stdout`.', example: '6.1.0-37-amd64\n' }),
    stdout: z.string().openapi({ example: '6.1.0-37-amd64\n' }),
    stderr: z.string().openapi({ example: '' }),
    output_truncated: z
      .boolean()
      .openapi({ description: 'More than 1 MiB of a stream was written.', example: false }),
    exitCode,
    exit_code: exitCode,
    error: z.string().nullable().openapi({ description: 'Why it did not complete.', example: null }),
    execution_id: z.string().openapi({ example: 'p0q1r2s3t4u5' }),
    status: z.enum(['completed', 'failed', 'timeout']).openapi({ example: 'completed' }),
    duration_ms: milliseconds,
    execution_time_ms: milliseconds,
    executionTimeMs: milliseconds,
  })
  .openapi('ScriptResult');
export type ScriptResultBody = z.infer<typeof scriptResult>;

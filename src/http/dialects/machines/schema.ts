/** What this dialect accepts and sends. One schema serves both validation and the OpenAPI document. */
import { z } from '@hono/zod-openapi';
import {
  closed,
  closedQuery,
  flag,
  integerMax,
  moment,
  noNul,
  noNulPattern,
  openApi31,
  pageQuery,
  wholeNumber,
} from '../../schema.ts';
import {
  argument,
  envField,
  envName,
  envNames,
  filterQuery,
  labelsField,
  lifetimeField,
  nameField,
  restartField,
} from './fields.ts';

export const machineStatuses = [
  'pending',
  'starting',
  'running',
  'paused',
  'stopping',
  'stopped',
  'failed',
] as const;
export type MachineStatus = (typeof machineStatuses)[number];

const port = z.int().min(1).max(65535);
/** Fields that Hyperfleet's older clients send and that its server sets for itself. */
const ofServer = z.string().max(4096).nullable().optional().openapi({
  description: 'Set for the whole server: taken and not used; the answer has what is.',
  example: null,
});

export const createBody = closed({
  name: nameField,
  vcpu_count: z.int().min(1).openapi({ maximum: integerMax, example: 1 }),
  mem_size_mib: z.int().min(4).openapi({ description: 'Memory in MiB.', maximum: integerMax, example: 256 }),
  exposed_ports: z
    .array(port)
    .max(256)
    .optional()
    .openapi({ description: 'Ports to publish.', example: [8080] }),
  image: z.string().min(1).max(255).optional().openapi({
    description:
      'A name, or a reference as registries have it: `debian:12` means `debian-12`. Default: debian-12.',
    example: 'busybox',
  }),
  disk_size_mib: z
    .int()
    .min(1)
    .optional()
    .openapi({ description: 'Size of the root disk in MiB.', maximum: integerMax, example: 1024 }),
  engine: z
    .string()
    .min(1)
    .max(32)
    .optional()
    .openapi({ description: 'Default: this host’s.', example: 'qemu' }),
  boot: z
    .enum(['auto', 'cold'])
    .optional()
    .openapi({ description: '`cold`: never from a prepared guest.', example: 'auto' }),
  labels: labelsField.optional(),
  env: envField.optional(),
  restart: restartField.optional(),
  lifetime_seconds: lifetimeField.optional(),
  image_size_mib: z.int().min(64).optional().openapi({
    description: 'Hyperfleet’s name of `disk_size_mib`, which wins.',
    maximum: integerMax,
    example: 1024,
  }),
  kernel_image_path: ofServer,
  kernel_args: ofServer,
  rootfs_path: ofServer,
  network: z
    .looseObject({ enable: z.boolean().optional() })
    .optional()
    .openapi({
      description: 'Guests have no network device yet: refused, but for `enable: false`.',
      example: { enable: false },
    }),
  registry_auth: z.looseObject({}).optional().openapi({
    description: 'Images are not pulled from registries yet: refused.',
  }),
}).openapi('CreateMachine');
export type CreateBody = z.infer<typeof createBody>;

const status = z
  .enum(machineStatuses)
  .openapi('MachineStatus', { description: 'What a machine is, in the words of this API.' });
const summaryFields = {
  id: z.string().openapi({ example: 'k3v9x2m1q8zt' }),
  name: z.string().openapi({ example: 'web-server' }),
  status,
  vcpu_count: z.int().openapi({ example: 1 }),
  mem_size_mib: z.int().openapi({ description: 'Memory in MiB.', example: 256 }),
  created_at: moment,
  image: z.string().openapi({ example: 'busybox' }),
  labels: z.record(z.string(), z.string()).openapi({ example: { team: 'web' } }),
  expires_at: moment.nullable().openapi({ description: 'When it is deleted; null: never.', example: null }),
};

export const machineSummary = z.object(summaryFields).openapi('MachineSummary');
export type MachineSummary = z.infer<typeof machineSummary>;

const reserved = z.string().nullable().openapi({ description: 'Always null so far.', example: null });

const hostPlace = 'A path of the host for the operator; for others the name of the file.';

export const machineBody = z
  .object({
    ...summaryFields,
    kernel_image_path: z
      .string()
      .nullable()
      .openapi({ description: hostPlace, example: '/var/lib/flotilla/kernel/vmlinux' }),
    kernel_args: z.string().nullable().openapi({
      description:
        'The whole command line that its kernel was booted with; before its first start, the one it would be.',
      example: 'console=ttyS0 quiet',
    }),
    rootfs_path: z
      .string()
      .openapi({ description: hostPlace, example: '/var/lib/flotilla/machines/k3v9x2m1q8zt/root.qcow2' }),
    socket_path: z.string().nullable().openapi({
      description: 'The VMM’s control socket while it runs; null but for the operator.',
      example: null,
    }),
    tap_device: reserved,
    tap_ip: reserved,
    guest_ip: reserved,
    guest_mac: reserved,
    pid: z
      .int()
      .nullable()
      .openapi({ description: 'The VMM’s process while it runs; null but for the operator.', example: null }),
    exposed_ports: z.array(z.int()).openapi({ example: [8080] }),
    updated_at: moment,
    started_at: moment
      .nullable()
      .openapi({ description: 'When it last started; null before.', example: null }),
    state: z.string().openapi({ description: 'The finer state behind `status`.', example: 'created' }),
    operation_id: z
      .string()
      .nullable()
      .openapi({ description: 'The operation under way; null when there is none.', example: null }),
    image_ref: z.string().openapi({ description: 'Hyperfleet’s name of `image`.', example: 'busybox' }),
    image_digest: z.string().openapi({
      example: `sha256:${'0f'.repeat(32)}`,
      description: 'What the image’s name meant at creation.',
    }),
    disk_size_mib: z.int().openapi({ example: 1024 }),
    engine: z.string().openapi({ example: 'qemu' }),
    boot: z.enum(['auto', 'cold']).openapi({ example: 'auto' }),
    env: z
      .record(z.string(), z.string())
      .nullable()
      .openapi({
        description: 'Variables of every command; null for keys that may not run commands.',
        example: { LANG: 'C.UTF-8' },
      }),
    restart: restartField,
    restart_count: z.int().openapi({
      description: 'Restarts by its policy in a row; after 10 it is left as it is.',
      example: 0,
    }),
    restart_at: moment.nullable().openapi({
      description: 'When its policy starts it again; null when nothing is to come.',
      example: null,
    }),
    error_message: z
      .string()
      .nullable()
      .openapi({ description: 'Why it failed, while it is `failed`.', example: null }),
    warnings: z.array(z.string()).openapi({
      description:
        'What this host does not give its machines, limits or isolation; empty when it gives all, and but for the operator.',
      example: [],
    }),
    failure: z
      .object({
        code: z.string(),
        message: z.string(),
        at: moment,
        console: z.array(z.string()).openapi({ description: 'The last lines of its console.' }),
      })
      .nullable()
      .openapi({ description: '`error_message` with its circumstances.', example: null }),
  })
  .openapi('Machine');
export type MachineBody = z.infer<typeof machineBody>;

export const machineList = z
  .object({
    machines: z.array(machineSummary),
    total: z.int().openapi({ description: 'Machines that match, on all pages.', example: 1 }),
  })
  .openapi('MachineList');

export const listQuery = closedQuery({ status: status.optional(), ...filterQuery, ...pageQuery('Machines') });

/** Limit of one waiting request; wait again to wait longer. */
export const waitSecondsMax = 30;

export const waitQuery = closedQuery({
  status,
  timeout: wholeNumber(z.number().int().min(1).max(waitSecondsMax).default(waitSecondsMax)).openapi({
    param: { description: 'Seconds.' },
  }),
});

export const consoleQuery = closedQuery({
  lines: wholeNumber(z.number().int().min(1).max(10_000).default(100)).openapi({
    param: { description: 'How many of the last lines; together at most 1 MiB of them.' },
  }),
  follow: flag('Go on with what comes, until the machine stops.'),
});

/** For actions whose result may already be there. */
export const actionQuery = closedQuery({
  idempotent: flag('Answer 200, not 400, when it is already so or on its way.'),
});

export const deleteQuery = closedQuery({
  force: flag('Delete it even if it runs, and cancel what it is doing.'),
});

export const machineParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id or name.' }, example: 'k3v9x2m1q8zt' }),
});

/** 8 MiB of bytes in base64. */
const stdinCharactersMax = 11_184_812;

/** Groups of four; the last may be padded. */
const base64Pattern = '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$';

const argv = z.array(argument).min(1).max(4096);

/** A day. Clients that mean milliseconds ask for more. */
export const timeoutSecondsMax = 86_400;

/** The body with `cmd` under its newer name, which wins. */
function withCommand(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || !('cmd' in body)) return body;
  const { cmd, ...rest } = body;
  return { command: cmd, ...rest };
}

export const execBody = z
  .preprocess(
    withCommand,
    closed({
      command: argv.openapi({
        description:
          'Program and arguments; no shell. Each has at most 131,071 bytes; together with the environment they have what the guest’s kernel takes, usually 2 MiB. `cmd`, the older name, is accepted too.',
        example: ['uname', '-r'],
      }),
      timeout: z
        .int()
        .min(1)
        .default(30)
        .openapi({
          description: `Seconds until it is killed; ${timeoutSecondsMax} where it is more.`,
          maximum: integerMax,
        }),
      env: z
        .record(envName, argument)
        .optional()
        .openapi({
          description: 'Added to the environment, and to the machine’s own variables, which it overrides.',
          ...openApi31({ propertyNames: envNames }),
          example: { LANG: 'C.UTF-8' },
        }),
      cwd: argument.optional().openapi({ description: 'Working directory.', example: '/' }),
      user: z.string().min(1).max(128).refine(noNul, 'must not contain NUL').optional().openapi({
        description: 'A user of the guest by name or number; `USER:GROUP` also says the only group.',
        pattern: noNulPattern,
        example: 'root',
      }),
      stdin: z
        .base64('must be base64')
        .max(stdinCharactersMax)
        .optional()
        .openapi({
          description: 'Standard input, base64.',
          ...openApi31({ contentEncoding: 'base64' }),
          pattern: base64Pattern,
          example: 'aGVsbG8K',
        }),
    }),
  )
  .openapi('Exec');
export type ExecBody = z.infer<typeof execBody>;

export const execResult = z
  .object({
    exit_code: z.int().openapi({ description: '128 + the signal when a signal ended it.', example: 0 }),
    stdout: z.string().openapi({ example: '6.1.0-37-amd64\n' }),
    stderr: z.string().openapi({ example: '' }),
    outcome: z.enum(['exited', 'signalled']).openapi({ example: 'exited' }),
    signal: z.string().nullable().openapi({ description: 'Without `SIG`.', example: null }),
    stdout_truncated: z
      .boolean()
      .openapi({ description: 'More was written than a buffered answer holds.', example: false }),
    stderr_truncated: z.boolean().openapi({ example: false }),
  })
  .openapi('ExecResult');
export type ExecResultBody = z.infer<typeof execResult>;

export const execEvent = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('stdout'), offset: z.int(), data: z.base64() }),
    z.object({ type: z.literal('stderr'), offset: z.int(), data: z.base64() }),
    z.object({ type: z.literal('heartbeat') }),
    z.object({
      type: z.literal('outcome'),
      outcome: z.enum(['exited', 'signalled', 'timed_out', 'unknown']),
      exit_code: z
        .int()
        .nullable()
        .openapi({ description: '128 + the signal when a signal ended it; null when neither is known.' }),
      signal: z.string().nullable(),
      reason: z.string().nullable(),
    }),
  ])
  .openapi('ExecEvent');
export type ExecEventBody = z.infer<typeof execEvent>;

/** What this dialect accepts and sends. One schema serves validation and the OpenAPI document. */
import { z } from '@hono/zod-openapi';

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
/** Text that may become a file name, an argument or an environment entry holds no NUL. */
const noNul = (text: string) => !text.includes('\0');
const argument = z.string().max(131_072).refine(noNul, 'must not contain NUL');
const printable = /^[^\p{Cc}]*$/u;

export const createBody = z
  .object({
    name: z
      .string()
      .min(1)
      .max(128)
      .regex(printable, 'must not contain control characters')
      .openapi({ description: 'Unique among your machines.', example: 'web-server' }),
    vcpu_count: z.int().min(1).openapi({ example: 1 }),
    mem_size_mib: z.int().min(4).openapi({ description: 'Memory in MiB.', example: 256 }),
    exposed_ports: z
      .array(port)
      .max(256)
      .optional()
      .openapi({ description: 'Ports to publish.', example: [8080] }),
    image: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .openapi({ description: 'Default: debian-12.', example: 'busybox' }),
    disk_size_mib: z
      .int()
      .min(1)
      .optional()
      .openapi({ description: 'Size of the root disk in MiB.', example: 1024 }),
    engine: z.string().min(1).max(32).optional().openapi({ example: 'qemu' }),
    boot: z.enum(['auto', 'cold']).optional(),
    labels: z
      .record(z.string().min(1).max(63), z.string().max(255))
      .optional()
      .openapi({ example: { team: 'web' } }),
  })
  .openapi('CreateMachine');
export type CreateBody = z.infer<typeof createBody>;

const status = z.enum(machineStatuses);

const summaryFields = {
  id: z.string().openapi({ example: 'k3v9x2m1q8zt' }),
  name: z.string().openapi({ example: 'web-server' }),
  status,
  vcpu_count: z.int(),
  mem_size_mib: z.int(),
  created_at: z.iso.datetime(),
};

export const machineSummary = z.object(summaryFields).openapi('MachineSummary');
export type MachineSummary = z.infer<typeof machineSummary>;

export const machineBody = z
  .object({
    ...summaryFields,
    kernel_image_path: z.string().nullable(),
    kernel_args: z.string().nullable(),
    rootfs_path: z.string(),
    socket_path: z.string().nullable(),
    tap_device: z.string().nullable(),
    tap_ip: z.string().nullable(),
    guest_ip: z.string().nullable(),
    guest_mac: z.string().nullable(),
    pid: z.int().nullable(),
    exposed_ports: z.array(z.int()),
    updated_at: z.iso.datetime(),
    started_at: z.iso.datetime().nullable(),
    state: z.string().openapi({ description: 'The finer state behind `status`.' }),
    image: z.string(),
    image_digest: z.string(),
    disk_size_mib: z.int(),
    engine: z.string(),
    boot: z.enum(['auto', 'cold']),
    labels: z.record(z.string(), z.string()),
    error_message: z.string().nullable(),
    failure: z
      .object({ code: z.string(), message: z.string(), at: z.iso.datetime(), console: z.array(z.string()) })
      .nullable(),
  })
  .openapi('Machine');
export type MachineBody = z.infer<typeof machineBody>;

export const machineList = z
  .object({ machines: z.array(machineSummary), total: z.int() })
  .openapi('MachineList');

export const listQuery = z.object({
  status: status.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  offset: z.coerce.number().int().min(0).default(0),
});

/** A request is held open for at most this long; wait again to wait longer. */
export const waitSecondsMax = 30;

export const waitQuery = z.object({
  status,
  timeout: z.coerce
    .number()
    .int()
    .min(1)
    .max(waitSecondsMax)
    .default(waitSecondsMax)
    .openapi({ description: 'Seconds.' }),
});

export const deleteQuery = z.object({
  force: z
    .enum(['true', 'false'])
    .default('false')
    .openapi({ description: 'Delete the machine even if it runs.' }),
});

export const machineParams = z.object({
  id: z.string().min(1).max(128).openapi({ description: 'Id or name.', example: 'k3v9x2m1q8zt' }),
});

/** 8 MiB of bytes in base64. */
const stdinCharactersMax = 11_184_812;

const argv = z.array(argument).min(1).max(4096);

export const execBody = z
  .object({
    command: argv
      .optional()
      .openapi({ description: 'Program and arguments; no shell.', example: ['uname', '-r'] }),
    cmd: argv.optional().openapi({ deprecated: true, description: 'Older name of `command`.' }),
    timeout: z.int().min(1).max(86_400).default(30).openapi({ description: 'Seconds until it is killed.' }),
    env: z
      .record(
        z
          .string()
          .min(1)
          .refine((key) => !/[=\0]/.test(key), 'must not contain = or NUL'),
        argument,
      )
      .optional(),
    cwd: argument.optional(),
    user: z.string().min(1).max(64).refine(noNul, 'must not contain NUL').optional(),
    stdin: z.base64().max(stdinCharactersMax).optional().openapi({ description: 'Standard input, base64.' }),
  })
  .refine((body) => (body.command ?? body.cmd) !== undefined, { path: ['command'], message: 'must be given' })
  .openapi('Exec');
export type ExecBody = z.infer<typeof execBody>;

export const execResult = z
  .object({
    exit_code: z.int().openapi({ description: '128 + the signal when a signal ended it.' }),
    stdout: z.string(),
    stderr: z.string(),
    outcome: z.enum(['exited', 'signalled']),
    signal: z.string().nullable(),
    stdout_truncated: z.boolean().openapi({ description: 'More was written than a buffered answer holds.' }),
    stderr_truncated: z.boolean(),
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
      exit_code: z.int().nullable(),
      signal: z.string().nullable(),
      reason: z.string().nullable(),
    }),
  ])
  .openapi('ExecEvent');
export type ExecEventBody = z.infer<typeof execEvent>;

export const errorBody = z
  .object({
    error: z.object({
      code: z.string().openapi({ example: 'NOT_FOUND' }),
      message: z.string().openapi({ example: "Machine with id 'abc123' not found" }),
      request_id: z.string().optional(),
      retryable: z.boolean().optional(),
      hint: z.string().optional(),
    }),
  })
  .openapi('Error');

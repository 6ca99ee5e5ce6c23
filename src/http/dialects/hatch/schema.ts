/** What Hatch's routes accept and send. One schema serves validation and the OpenAPI document. */
import { z } from '@hono/zod-openapi';
import { nameCharactersMax, namePattern, nameRule } from '../../../core/machines/names.ts';
import { descriptionCharactersMax } from '../../../core/templates/service.ts';
import { provisioningStates } from '../../../core/user-data/user-data.ts';
import { closed, moment, noNul, noNulPattern } from '../../schema.ts';

export const vmStates = ['starting', 'running', 'stopping', 'stopped', 'snapshotted', 'error'] as const;
export type VmState = (typeof vmStates)[number];

/** Hatch's own limits. What is outside is refused in words. */
const vcpuLimits = { least: 1, most: 32 } as const;
const memoryMibLimits = { least: 128, most: 65_536 } as const;

/** 0 means the default, as in Hatch. */
const vcpuCount = z
  .int()
  .refine((count) => count === 0 || (count >= vcpuLimits.least && count <= vcpuLimits.most), {
    message: `must be from ${vcpuLimits.least} to ${vcpuLimits.most}`,
  })
  .openapi({ description: '0: the default.', minimum: 0, maximum: vcpuLimits.most, example: 2 });
const memMib = z
  .int()
  .refine((size) => size === 0 || (size >= memoryMibLimits.least && size <= memoryMibLimits.most), {
    message: `must be from ${memoryMibLimits.least} to ${memoryMibLimits.most}`,
  })
  .openapi({
    description: 'Memory in MiB; 0: the default.',
    minimum: 0,
    maximum: memoryMibLimits.most,
    example: 1024,
  });
const text = (charactersMax: number) =>
  z.string().max(charactersMax).refine(noNul, 'must not contain NUL').openapi({ pattern: noNulPattern });
const userData = z.string().max(65_536).openapi({
  description: 'A part of cloud-init’s `#cloud-config`, or a script that begins with `#!`; empty: none.',
});

/** In Go, whose decoder reads Hatch's bodies, null and an empty text are the same as none. */
export const createBody = closed({
  vcpu_count: vcpuCount.nullish(),
  mem_mib: memMib.nullish(),
  enable_network: z.boolean().nullish().openapi({
    description: 'Default: true. Where the host makes no bridge, `network_note` says so.',
    example: true,
  }),
  image_id: text(255).nullish().openapi({ description: 'Default: `img_default`.' }),
  template_id: text(255).nullish().openapi({ description: 'Its values apply where this request has none.' }),
  boot_args: text(4096).nullish().openapi({ description: 'Refused unless empty: the host sets them.' }),
  guest_ip: text(64).nullish().openapi({ description: 'A certain address of the guests’ network.' }),
  guest_mac: text(64)
    .nullish()
    .openapi({ description: 'Refused unless empty: it follows from the address.' }),
  user_data: userData.nullish(),
}).openapi('CreateVM');
export type CreateBody = z.infer<typeof createBody>;

export const vmBody = z
  .object({
    id: z.string().openapi({ example: 'vm_k3v9x2m1q8zt' }),
    image_id: z.string().openapi({ example: 'img_default' }),
    template_id: z.string().optional().openapi({ example: 'tpl_t7k2m9x4c1qa' }),
    state: z.enum(vmStates).openapi({ example: 'running' }),
    vcpu_count: z.int().openapi({ example: 2 }),
    mem_mib: z.int().openapi({ example: 1024 }),
    guest_ip: z.string().optional().openapi({ description: 'Absent without a network.' }),
    ssh_port: z.int().optional().openapi({
      description: 'Port of the host for SSH. Absent without a network, and where no SSH gateway listens.',
    }),
    enable_network: z.boolean().openapi({ example: true }),
    network_note: z.string().optional().openapi({ description: 'Why its network reaches nothing.' }),
    image_note: z
      .string()
      .optional()
      .openapi({ description: 'Why its image is another one than was asked for.' }),
    user_data: z.string().optional().openapi({
      description: 'Absent when empty, in lists, and for keys that may not run commands.',
    }),
    provisioning: z
      .object({
        status: z.enum(provisioningStates),
        message: z.string().nullable().openapi({ description: 'Why it failed.' }),
        updated_at: moment,
      })
      .optional()
      .openapi({ description: 'How far its guest is with its user data; absent without any, and in lists.' }),
    error: z.string().optional().openapi({ description: 'Why its state is `error`.' }),
    created_at: moment,
    updated_at: moment,
  })
  .openapi('VM');
export type VmBody = z.infer<typeof vmBody>;

/** Linux takes arguments of up to 128 KiB with the NUL byte. */
const commandBytesMax = 131_071;
/** A day: longer commands run in the background. */
export const timeoutMsMax = 86_400_000;
export const timeoutMsDefault = 10_000;

export const execBody = closed({
  command: z
    .string({ error: (issue) => (issue.input == null ? 'is required' : undefined) })
    .refine((command) => command !== '', 'is required')
    .refine(
      (command) => Buffer.byteLength(command) <= commandBytesMax,
      `must have at most ${commandBytesMax} bytes`,
    )
    .refine(noNul, 'must not contain NUL')
    .openapi({
      description: `For \`sh -c\`; at most ${commandBytesMax} bytes.`,
      ...{ minLength: 1, maxLength: commandBytesMax, pattern: noNulPattern, example: 'uname -r' },
    }),
  timeout_ms: z
    .number()
    .refine(Number.isInteger, 'must be an integer')
    .nullish()
    .openapi({
      description: `How long the answer waits; the command goes on. 0 or less: ${timeoutMsDefault}; at most a day.`,
      type: ['integer', 'null'],
      example: timeoutMsDefault,
    }),
  background: z.boolean().nullish().openapi({ description: 'Answer at once.', example: false }),
}).openapi('ExecVM');
export type ExecBody = z.infer<typeof execBody>;

export const execResult = z
  .object({
    stdout: z.string().openapi({ description: 'Standard output and error as written.', example: '6.1.0\n' }),
    stderr: z.string().openapi({ description: 'Always empty: it is in `stdout`.', example: '' }),
    exit_code: z.int().openapi({ description: '128 + a signal’s number; -1 when timed out.', example: 0 }),
    timed_out: z.boolean().openapi({ example: false }),
    pid: z.int().optional().openapi({ description: 'Of a command that goes on.' }),
    log_file: z.string().optional().openapi({
      description:
        'The file in the guest with the output of a command that goes on, or of more than the answer has.',
      example: '/tmp/hatch-exec-0a1b2c3d4e5f.log',
    }),
    output_note: z.string().optional().openapi({ description: 'Why output is missing; else absent.' }),
  })
  .openapi('ExecResult');
export type ExecResultBody = z.infer<typeof execResult>;

const figure = z.number().nullable();
export const metricsBody = z
  .object({
    vm_id: z.string(),
    state: z.enum(vmStates),
    vcpu_count: z.int(),
    mem_mib: z.int(),
    uptime_seconds: z.int(),
    net: z.object({ rx_bytes: figure, tx_bytes: figure, rx_packets: figure, tx_packets: figure }),
    block: z.object({ read_bytes: figure, write_bytes: figure }),
    vcpu: z.object({ cpu_time_micros: figure, utilization_percent: figure }),
    raw: z.object({ memory_used_bytes: figure }),
  })
  .openapi('Metrics', { description: 'Null: nobody measured it.' });
export type MetricsBody = z.infer<typeof metricsBody>;

export const routeCreateBody = closed({
  subdomain: z.string().max(255).nullish(),
  target_port: z.int().nullish().openapi({ minimum: 1, maximum: 65_535, example: 8080 }),
  auto_wake: z.boolean().nullish(),
}).openapi('CreateRoute');
export type RouteCreateBody = z.infer<typeof routeCreateBody>;

export const connectBody = closed({
  public_key: z.string().max(16_384).nullish().openapi({ example: 'ssh-ed25519 AAAA…' }),
}).openapi('ConnectVM');

export const deletedBody = z.object({ status: z.literal('deleted') }).openapi('Deleted');
export const routeBody = z
  .object({
    id: z.string().openapi({ example: 'rt_r4k8p2d7w9xa' }),
    vm_id: z.string(),
    subdomain: z.string(),
    target_port: z.int(),
    auto_wake: z.boolean(),
    created_at: moment,
    updated_at: moment,
  })
  .openapi('Route');
export type RouteBody = z.infer<typeof routeBody>;

export const snapshotBody = z
  .object({
    id: z.string().openapi({ example: 'snap_s3m7q1z5n8yb' }),
    vm_id: z.string(),
    state_key: z.string().openapi({ description: 'A file below the state directory; empty without memory.' }),
    memory_key: z
      .string()
      .openapi({ description: 'A file below the state directory; empty without memory.' }),
    disk_key: z.string().openapi({ description: 'A file below the state directory.' }),
    vm_config: z.string().openapi({ description: 'JSON: the VM’s image and size.' }),
    size_bytes: z.int(),
    created_at: moment,
  })
  .openapi('Snapshot');
export type SnapshotBody = z.infer<typeof snapshotBody>;

export const certificateBody = z
  .object({
    certificate: z.string(),
    host: z.string(),
    port: z.int(),
    username: z.string().openapi({ example: 'agent' }),
    valid_until: z.int().openapi({ description: 'Unix seconds.' }),
  })
  .openapi('Certificate');

export const imageCreateBody = closed({
  id: text(128).nullish().openapi({ description: 'Default: made up.', example: 'img_alpine' }),
  kernel_path: text(4095).nullish().openapi({
    description: 'Empty or absent: the host’s kernel. Another file is refused.',
    example: '',
  }),
  rootfs_path: text(4095)
    .min(1)
    .openapi({ description: 'A tar archive of the daemon’s host, or a directory that ends with `/`.' }),
  boot_args: text(4096).nullish().openapi({ description: 'Refused unless empty.' }),
}).openapi('CreateImage');
export type ImageCreateBody = z.infer<typeof imageCreateBody>;

export const imageBody = z
  .object({
    id: z.string().openapi({ example: 'img_default' }),
    kernel_path: z.string().openapi({ description: 'Empty: the host’s kernel.' }),
    rootfs_path: z.string().openapi({ description: 'What it was imported from is not kept: its digest.' }),
    boot_args: z.string(),
    created_at: moment,
  })
  .openapi('Image');
export type ImageBody = z.infer<typeof imageBody>;

export const templateCreateBody = closed({
  name: z.string().min(1).max(nameCharactersMax).regex(namePattern, nameRule),
  description: z.string().max(descriptionCharactersMax).nullish(),
  image_id: text(255).nullish().openapi({ description: 'Default: `img_default`.' }),
  user_data: userData.nullish(),
  vcpu_count: vcpuCount.nullish(),
  mem_mib: memMib.nullish(),
}).openapi('CreateTemplate');
export type TemplateCreateBody = z.infer<typeof templateCreateBody>;

export const templateBody = z
  .object({
    id: z.string().openapi({ example: 'tpl_t7k2m9x4c1qa' }),
    name: z.string(),
    description: z.string(),
    image_id: z.string(),
    user_data: z
      .string()
      .openapi({ description: 'Empty without any, and for keys that may not run commands.' }),
    vcpu_count: z.int(),
    mem_mib: z.int(),
    created_at: moment,
    updated_at: moment,
  })
  .openapi('Template');
export type TemplateBody = z.infer<typeof templateBody>;

export const healthBody = z
  .object({ status: z.literal('ok'), vm_count: z.int(), route_count: z.int() })
  .openapi('Health');

export const idParams = z.object({
  id: z
    .string()
    .min(1)
    .max(255)
    .openapi({ param: { description: 'Id or name.' }, example: 'vm_k3v9x2m1q8zt' }),
});

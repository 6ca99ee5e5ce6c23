/** What this dialect accepts and sends. One schema serves both validation and the OpenAPI document. */
import { z } from '@hono/zod-openapi';
import { provisioningStates } from '../../../core/user-data/user-data.ts';
import {
  closed,
  closedQuery,
  flag,
  integerMax,
  many,
  moment,
  noNul,
  noNulPattern,
  openApi31,
  pageQuery,
  wholeNumber,
} from '../../schema.ts';
import {
  autoWakeField,
  envField,
  exposedPortsField,
  filterQuery,
  idleField,
  labelsField,
  lifetimeCountsField,
  lifetimeField,
  nameField,
  onExpireField,
  restartField,
  sshKeysField,
  sshPortField,
  userDataField,
} from './fields.ts';
import { networkField, networkView } from './network-schema.ts';

export const machineStatuses = [
  'pending',
  'starting',
  'running',
  'paused',
  'suspended',
  'stopping',
  'stopped',
  'failed',
] as const;
export type MachineStatus = (typeof machineStatuses)[number];

/** Fields that Hyperfleet's older clients send and that its server sets for itself. */
const ofServer = z.string().max(4096).nullable().optional().openapi({
  description:
    'Accepted for compatibility and ignored. The operator sets it for the whole host; the machine shows the value in use.',
  example: null,
});

type Sizes = {
  readonly template?: unknown;
  readonly source?: unknown;
  readonly vcpu_count?: unknown;
  readonly mem_size_mib?: unknown;
};

const neededAlone = (name: 'vcpu_count' | 'mem_size_mib') => ({
  check: (body: Sizes) => [body.template, body.source, body[name]].some((each) => each !== undefined),
  params: { path: [name], message: 'is required' },
});
const vcpusNeeded = neededAlone('vcpu_count');
const memoryNeeded = neededAlone('mem_size_mib');

const createFields = {
  name: nameField,
  vcpu_count: z.int().min(1).optional().openapi({
    description:
      'Number of vCPUs, at most the host’s CPUs. Required without a template or a source, whose number it is by default.',
    maximum: integerMax,
    example: 1,
  }),
  mem_size_mib: z.int().min(4).optional().openapi({
    description:
      'Memory in MiB, at least the image’s `min_memory_mib`. Required without a template or a source, whose size it is by default.',
    maximum: integerMax,
    example: 256,
  }),
  template: z.string().min(1).max(128).refine(noNul, 'must not contain NUL').optional().openapi({
    description: 'Id or name of a template, which provides the fields that this request omits.',
    pattern: noNulPattern,
    example: 'web',
  }),
  source: closed({
    kind: z.literal('snapshot'),
    snapshot: z.string().min(1).max(128).refine(noNul, 'must not contain NUL').openapi({
      description: 'Id or name of the snapshot.',
      pattern: noNulPattern,
      example: 'before-upgrade',
    }),
  })
    .optional()
    .openapi({
      description:
        'What its disk is made from, instead of an image; and its memory, if the snapshot has that: then it starts where the snapshot was taken, with the same vCPUs, memory and disk size. Without memory the disk may be larger.',
    }),
  exposed_ports: exposedPortsField.optional().openapi({
    description:
      'TCP ports of the guest that the reverse proxy may reach, at most 256. For a port of the host use `network.ports`.',
    example: [8080],
  }),
  image: z.string().min(1).max(255).nullable().optional().openapi({
    description:
      'Image name, or a registry-style reference: `debian:12` means `debian-12`. Images are not pulled; common references such as `alpine:latest` are mapped to the nearest image, and `image_note` says so. Default, also for null: `debian-12`.',
    example: 'busybox',
  }),
  disk_size_mib: z.int().min(1).optional().openapi({
    description:
      'Size of the root disk in MiB, at least the image’s `size_mib`. Default: 10240, or the image’s size if larger.',
    maximum: integerMax,
    example: 1024,
  }),
  engine: z
    .string()
    .min(1)
    .max(32)
    .optional()
    .openapi({ description: 'Engine that runs the machine. Default: the host’s engine.', example: 'qemu' }),
  boot: z.enum(['auto', 'cold']).optional().openapi({
    description:
      'How the machine starts. `cold`: its kernel boots. `auto`: the daemon chooses the fastest way that it has; today that is to boot the kernel as well. Default: `auto`.',
    example: 'auto',
  }),
  labels: labelsField.optional(),
  env: envField.optional(),
  restart: restartField.optional(),
  auto_wake: autoWakeField.optional(),
  idle: idleField.nullable().optional().openapi({
    description: 'What happens to it when nobody uses it for a while. Default, also for null: nothing.',
  }),
  lifetime_seconds: lifetimeField.optional(),
  on_expire: onExpireField.optional(),
  lifetime_counts: lifetimeCountsField.optional(),
  user_data: userDataField.optional(),
  ssh_keys: sshKeysField.optional(),
  ssh_port: sshPortField.optional(),
  image_size_mib: z.int().min(64).optional().openapi({
    description: 'Hyperfleet’s name for `disk_size_mib`, in MiB. `disk_size_mib` takes precedence.',
    maximum: integerMax,
    example: 1024,
  }),
  kernel_image_path: ofServer,
  kernel_args: ofServer,
  rootfs_path: ofServer,
  network: networkField.optional().openapi({
    description: 'Its place in the network. Default: mode `nat`, with a free address and no limits.',
  }),
  registry_auth: z.looseObject({}).optional().openapi({
    description: 'Refused: images are not pulled from registries yet.',
  }),
};

// Generators of clients would make no type of `anyOf`.
const neededFields = (others: readonly string[]) =>
  openApi31({ 'x-required-unless': { any_of: others, required: ['vcpu_count', 'mem_size_mib'] } });

export const createBody = closed(createFields)
  .refine(vcpusNeeded.check, vcpusNeeded.params)
  .refine(memoryNeeded.check, memoryNeeded.params)
  .refine(({ template, source }) => template === undefined || source === undefined, {
    path: ['source'],
    message: 'cannot be given beside template',
  })
  .openapi(
    'CreateMachine',
    openApi31({ ...neededFields(['template', 'source']), 'x-not-together': ['template', 'source'] }),
  );
export type CreateBody = z.infer<typeof createBody>;

const {
  lifetime_seconds: _,
  on_expire: __,
  lifetime_counts: ___,
  source: ____,
  ...memberFields
} = createFields;

/** A machine of an environment, which lives as long as that. */
export const memberBody = closed(memberFields)
  .refine(vcpusNeeded.check, vcpusNeeded.params)
  .refine(memoryNeeded.check, memoryNeeded.params)
  .openapi('EnvironmentMachine', neededFields(['template']));

export const machineStatus = z.enum(machineStatuses).openapi('MachineStatus', {
  description: 'Status of a machine. `state` shows it in more detail.',
});
const summaryFields = {
  id: z
    .string()
    .openapi({ description: 'Identifier: 12 lower-case letters and digits.', example: 'k3v9x2m1q8zt' }),
  name: z.string().openapi({ description: 'Unique among your machines.', example: 'web-server' }),
  status: machineStatus,
  vcpu_count: z.int().openapi({ description: 'Number of vCPUs.', example: 1 }),
  mem_size_mib: z.int().openapi({ description: 'Memory in MiB.', example: 256 }),
  created_at: moment,
  image: z.string().openapi({ description: 'Name of the image.', example: 'busybox' }),
  labels: z.record(z.string(), z.string()).openapi({ description: 'Your labels.', example: { team: 'web' } }),
  expires_at: moment.nullable().openapi({
    description:
      'Time (UTC) at which its lifetime ends and `on_expire` happens; null without a lifetime, and while that stands still or has ended.',
    example: null,
  }),
  on_expire: onExpireField,
};

export const machineSummary = z.object(summaryFields).openapi('MachineSummary');
export type MachineSummary = z.infer<typeof machineSummary>;

const ofHost = z
  .string()
  .nullable()
  .openapi({ description: 'Always null: the host’s own devices are not shown.', example: null });

const hostPlace = 'Path on the host; only its file name for keys other than the operator’s.';

export const machineBody = z
  .object({
    ...summaryFields,
    kernel_image_path: z
      .string()
      .nullable()
      .openapi({ description: hostPlace, example: '/var/lib/flotilla/kernel/vmlinux' }),
    kernel_args: z.string().nullable().openapi({
      description:
        'Complete kernel command line of the latest boot; before the first start, that of the next boot.',
      example: 'console=ttyS0 quiet',
    }),
    rootfs_path: z
      .string()
      .openapi({ description: hostPlace, example: '/var/lib/flotilla/machines/k3v9x2m1q8zt/root.qcow2' }),
    socket_path: z.string().nullable().openapi({
      description: 'Control socket of the running VMM. Null for keys other than the operator’s.',
      example: null,
    }),
    tap_device: ofHost,
    tap_ip: ofHost,
    guest_ip: z.string().nullable().openapi({ description: 'See `network.ip`.', example: '10.77.0.9' }),
    guest_mac: z
      .string()
      .nullable()
      .openapi({ description: 'See `network.mac`.', example: '02:66:0a:4d:00:09' }),
    network: networkView,
    pid: z.int().nullable().openapi({
      description: 'Process id of the running VMM. Null for keys other than the operator’s.',
      example: null,
    }),
    exposed_ports: z.array(z.int()).openapi({ description: 'As requested.', example: [8080] }),
    updated_at: moment,
    started_at: moment
      .nullable()
      .openapi({ description: 'Time (UTC) of the latest start; null before the first one.', example: null }),
    state: z.string().openapi({
      description:
        'More detailed than `status`: also `created`, `creating`, `pausing`, `resuming` and `deleting`.',
      example: 'created',
    }),
    operation_id: z
      .string()
      .nullable()
      .openapi({ description: 'Id of the open operation; null if there is none.', example: null }),
    image_ref: z.string().openapi({
      description: 'Reference with which the image was requested; `image` is the name that it means.',
      example: 'alpine:latest',
    }),
    image_note: z.string().optional().openapi({
      description: 'How `image` differs from `image_ref`; absent when they are the same.',
      example: '`alpine:latest` is not an image of this host; an alias maps it to debian-12',
    }),
    image_digest: z.string().openapi({
      example: `sha256:${'0f'.repeat(32)}`,
      description: 'Content of the image at creation.',
    }),
    disk_size_mib: z.int().openapi({ description: 'Size of the root disk in MiB.', example: 1024 }),
    engine: z.string().openapi({ description: 'Engine that runs the machine.', example: 'qemu' }),
    boot: z.enum(['auto', 'cold']).openapi({ description: 'As requested.', example: 'auto' }),
    boot_kind: z.enum(['cold', 'restored']).nullable().openapi({
      description:
        'How it came to run: its kernel booted, or its memory was restored. Null while it does not run.',
      example: 'cold',
    }),
    suspended_at: moment.nullable().openapi({
      description: 'When its memory was saved; null unless it is suspended.',
      example: null,
    }),
    template: z.string().nullable().openapi({
      description: 'Id of the template it was created from; null if there is none.',
      example: null,
    }),
    snapshot_id: z.string().nullable().openapi({
      description:
        'Id of the snapshot it was made from, or last set back to, which may be gone; null if there is none.',
      example: null,
    }),
    env: z
      .record(z.string(), z.string())
      .nullable()
      .openapi({
        description:
          'Environment variables of every command. Null for keys without the scope `machines:exec`.',
        example: { LANG: 'C.UTF-8' },
      }),
    restart: restartField,
    restart_count: z.int().openapi({
      description: 'Consecutive restarts by the policy, at most 10. Ten minutes of running reset it to 0.',
      example: 0,
    }),
    restart_at: moment.nullable().openapi({
      description: 'Time (UTC) of the next restart by the policy; null if none is due.',
      example: null,
    }),
    lifetime_seconds: z.int().nullable().openapi({
      description:
        'Length of its lifetime as requested, and of the next one when it has ended; null: none, or set by an earlier version.',
      example: null,
    }),
    lifetime_counts: lifetimeCountsField,
    lifetime_remaining_seconds: z.int().nullable().openapi({
      description:
        'What is left of its lifetime while that stands still, rounded up; null while it counts down or there is none.',
      example: null,
    }),
    auto_wake: autoWakeField,
    idle: idleField.nullable(),
    held_until: moment.nullable().openapi({
      description:
        'Until when `idle` does not act (UTC), as `hold_seconds` of PATCH says; null: nobody holds the machine.',
    }),
    idle_at: moment.nullable().openapi({
      description:
        'Earliest time (UTC) at which `idle` acts, if nobody uses the machine before; null while it does not run or has no such policy. Updated at most every 30 seconds.',
      example: null,
    }),
    user_data: z.string().nullable().openapi({
      description:
        'User data as given, or its template’s; null without any, and for keys that may not run commands.',
      example: null,
    }),
    ssh_keys: z.array(z.string()).openapi({
      description: 'Public keys that enter this machine alone through the SSH gateway.',
      example: [],
    }),
    ssh_port: z.int().nullable().openapi({
      description: 'Port of the host at which SSH clients enter this machine alone; null: none.',
      example: null,
    }),
    ssh: z
      .object({
        port: z.int().openapi({ example: 16000 }),
        status: z.enum(['open', 'closed']),
        reason: z.string().nullable().openapi({
          description:
            'Why it is closed, such as another program of the host that has the port; it is tried again every 30 seconds.',
          example: null,
        }),
      })
      .optional()
      .openapi({ description: 'Whether its `ssh_port` is open now; absent without one.' }),
    provisioning: z
      .object({
        status: z.enum(provisioningStates),
        message: z.string().nullable().openapi({ description: 'Why it failed.', example: null }),
        updated_at: moment,
      })
      .nullable()
      .openapi({
        description:
          'How far its guest is with its user data and SSH keys; null: it had neither at creation.',
        example: null,
      }),
    guest_link: z
      .object({
        status: z.enum(['up', 'down']).openapi({
          description: 'While it is `down`, commands and files of the guest cannot be reached.',
        }),
        reason: z.string().openapi({
          description:
            'Why it is down, or was lost the last time, for example because the guest broke the link’s protocol.',
          example: 'The guest floods its link with empty frames',
        }),
        lost_at: moment.nullable().openapi({ description: 'When it was lost the last time; null: never.' }),
        lost_count: z.int().openapi({ description: 'How often it was lost.', example: 1 }),
      })
      .optional()
      .openapi({
        description:
          'The link to the guest’s agent, if something is or was wrong with it since its start or the daemon’s; absent otherwise.',
      }),
    error_message: z
      .string()
      .nullable()
      .openapi({ description: 'Reason of the failure; null if there is none.', example: null }),
    warnings: z.array(z.string()).openapi({
      description:
        'Limits and isolation that this host cannot give its machines. Always empty for keys other than the operator’s.',
      example: [],
    }),
    failure: z
      .object({
        code: z
          .string()
          .openapi({ description: 'For programs, such as `timed_out`. New codes may be added.' }),
        message: z.string().openapi({ description: 'For people.' }),
        at: moment,
        console: z.array(z.string()).openapi({ description: 'The last lines of the console.' }),
      })
      .nullable()
      .openapi({ description: 'Details of the failure; null if there is none.', example: null }),
  })
  .openapi('Machine');
export type MachineBody = z.infer<typeof machineBody>;

export const machineList = z
  .object({
    machines: z.array(machineSummary).openapi({ description: 'Machines on this page.' }),
    total: z.int().openapi({ description: 'Number of matching machines on all pages.', example: 1 }),
  })
  .openapi('MachineList');

export const listQuery = closedQuery({
  status: many(machineStatus).openapi({
    param: { description: 'Status of the machines. May be repeated: machines with any of them match.' },
    example: ['running'],
  }),
  ...filterQuery,
  ...pageQuery('Machines'),
});

/** Limit of one waiting request; wait again to wait longer. */
export const waitSecondsMax = 30;

export const waitQuery = closedQuery({
  status: machineStatus,
  timeout: wholeNumber(z.number().int().min(1).max(waitSecondsMax).default(waitSecondsMax)).openapi({
    param: { description: 'Seconds to wait, at most 30. To wait longer, repeat the request.' },
  }),
});

export const consoleQuery = closedQuery({
  lines: wholeNumber(z.number().int().min(1).max(10_000).default(100)).openapi({
    param: { description: 'Number of last lines to return, at most 10,000 and together at most 1 MiB.' },
  }),
  follow: flag('Continue with new output until the machine stops.'),
  timestamps: flag(
    'Begin each line with the RFC 3339 time at which the daemon saw it and a space. A line printed while no daemon ran is also marked `[seen late, after <time>]`.',
  ),
  previous: flag(
    'Read the console of the boot before the latest one. With `follow` the answer ends after it.',
  ),
});

const idempotent = flag(
  'Answer 200 instead of 400 if the machine is already in the target state or on its way to it.',
);

/** For actions whose result may already be there. */
export const actionQuery = closedQuery({ idempotent });

export const stopQuery = closedQuery({
  idempotent,
  force: flag(
    'Also stop a suspended machine. Its saved memory is lost, and it boots from its disk the next time.',
  ),
});

/** For those of them that leave the machine as it was when they are cancelled. */
export const cancellableQuery = closedQuery({
  idempotent,
  cancel_on_disconnect: flag(
    'Cancel the operation if the client disconnects before the answer. Without it the operation continues.',
  ),
});

export const deleteQuery = closedQuery({
  force: flag('Also delete a running or paused machine, and cancel its open operation.'),
});

export const machineParams = z.object({
  id: z
    .string()
    .min(1)
    .max(128)
    .openapi({ param: { description: 'Id or name of the machine.' }, example: 'k3v9x2m1q8zt' }),
});

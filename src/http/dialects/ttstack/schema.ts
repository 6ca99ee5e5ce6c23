/** TTstack's requests and answers. Its clients read strictly: counters are u32, ports u16, and words a closed list. */
import { z } from '@hono/zod-openapi';

const u32Max = 4_294_967_295;
const u32 = () => z.int().min(0).max(u32Max);
const port = z.int().min(0).max(65_535);
const unixTime = z.int().min(0).openapi({ description: 'Unix time, in seconds.', example: 1_790_000_000 });

export const engineWords = ['qemu', 'firecracker', 'docker', 'bhyve', 'jail'] as const;
export type EngineWord = (typeof engineWords)[number];
/** Other names that TTstack's command line takes. */
export const engineAliases: Readonly<Record<string, EngineWord>> = {
  kvm: 'qemu',
  fc: 'firecracker',
  podman: 'docker',
};
const engineInput = z.enum([...engineWords, 'kvm', 'fc', 'podman']);

export const vmStates = ['creating', 'running', 'paused', 'stopped', 'failed'] as const;
export type VmState = (typeof vmStates)[number];

/** Null means the default: TTstack's command line sends it for what was not given. */
export const vmSpec = z
  .object({
    image: z.string().openapi({ example: 'debian-12' }),
    engine: engineInput.nullish().openapi({ description: 'Default: qemu.' }),
    cpu: u32().nullish().openapi({ description: 'Default: 2.' }),
    mem: u32().nullish().openapi({ description: 'MiB; default: 1024.' }),
    disk: u32().nullish().openapi({ description: 'MiB; default: 40960.' }),
    ports: z.array(port).max(100).nullish(),
    deny_outgoing: z.boolean().nullish(),
    ssh_keys: z.array(z.string()).max(64).nullish(),
  })
  .openapi('VmSpec');
export type VmSpec = z.infer<typeof vmSpec>;

export const createEnvBody = z
  .object({
    id: z.string().openapi({ description: 'Its name.', example: 'ci-42' }),
    owner: z.string().max(256).nullish().openapi({ description: 'A label.', example: 'ann' }),
    ssh_keys: z.array(z.string()).max(64).nullish(),
    vms: z.array(vmSpec).max(100),
    lifetime: z.int().min(0).nullish().openapi({
      description: 'Seconds; 0 or absent: 21600, which is also the most unless configured otherwise.',
    }),
  })
  .openapi('CreateEnv');
export type CreateEnv = z.infer<typeof createEnvBody>;

export const extendBody = z
  .object({ lifetime: z.int().min(0).openapi({ description: 'Seconds from now.', example: 3600 }) })
  .openapi('ExtendEnv');

export const addHostBody = z
  .object({ addr: z.string().openapi({ description: 'Host and port.', example: '127.0.0.1:3000' }) })
  .openapi('AddHost');

/** Sent by a controller to a host. */
export const createVmBody = z
  .object({
    vm_id: z.string().openapi({ example: '0a1b2c3d-4e5' }),
    env_id: z.string().openapi({ example: 'ci-42' }),
    image: z.string(),
    engine: engineInput,
    cpu: u32(),
    mem: u32(),
    disk: u32(),
    ports: z.array(port).max(100),
    deny_outgoing: z.boolean(),
    ssh_keys: z.array(z.string()).max(64).nullish(),
  })
  .openapi('CreateVm');
export type CreateVm = z.infer<typeof createVmBody>;

export const vmBody = z
  .object({
    id: z.string(),
    env_id: z.string().openapi({ description: 'Empty for a machine without an environment.' }),
    host_id: z.string(),
    image: z.string(),
    engine: z.enum(engineWords),
    cpu: u32(),
    mem: u32(),
    disk: u32(),
    ip: z.string().openapi({ description: 'Empty for a machine without a network.' }),
    port_map: z.record(z.string(), port).openapi({ description: 'Guest port to host port.' }),
    state: z.enum(vmStates),
    created_at: unixTime,
  })
  .openapi('Vm');
export type VmBody = z.infer<typeof vmBody>;

export const envBody = z
  .object({
    id: z.string(),
    owner: z.string(),
    vm_ids: z.array(z.string()),
    created_at: unixTime,
    expires_at: unixTime.openapi({ description: '0 while it is stopped: it does not expire then.' }),
    state: z.enum(['active', 'stopped']),
  })
  .openapi('Env');
export type EnvBody = z.infer<typeof envBody>;

export const envDetail = z
  .object({ env: envBody, vms: z.array(vmBody), warnings: z.array(z.string()).optional() })
  .openapi('EnvDetail');
export type EnvDetail = z.infer<typeof envDetail>;

const resourceFields = {
  cpu_total: u32(),
  cpu_used: u32(),
  mem_total: u32(),
  mem_used: u32(),
  disk_total: u32(),
  disk_used: u32(),
};
export const resource = z.object({ ...resourceFields, vm_count: u32() }).openapi('Resource');
export const hostBody = z
  .object({
    id: z.string(),
    addr: z.string(),
    resource,
    state: z.enum(['online', 'offline']),
    engines: z.array(z.enum(engineWords)),
    storage: z.enum(['file', 'zvol']),
    registered_at: unixTime,
  })
  .openapi('Host');
export type HostBody = z.infer<typeof hostBody>;

export const statusBody = z
  .object({ hosts: u32(), hosts_online: u32(), total_vms: u32(), total_envs: u32(), ...resourceFields })
  .openapi('FleetStatus');
export const hostImage = z.object({ name: z.string(), host_id: z.string() }).openapi('HostImage');
export const infoBody = z
  .object({
    host_id: z.string(),
    resource,
    engines: z.array(z.enum(engineWords)),
    storage: z.enum(['file', 'zvol']),
    images: z.array(z.string()),
  })
  .openapi('Info');

export const nothing = z.object({ ok: z.literal(true) }).openapi('Done');
/** Every answer with content. */
export const data = <T extends z.ZodType>(content: T) => z.object({ ok: z.literal(true), data: content });
export const errorBody = z.object({ ok: z.literal(false), error: z.string() }).openapi('Error');
export const idParams = z.object({
  id: z
    .string()
    .min(1)
    .max(256)
    .openapi({ param: { description: 'Id.' } }),
});

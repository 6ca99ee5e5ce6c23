/** The only reader of the environment. Every variable, its default and its limits are here. */
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { AppError, isAppError } from '../core/errors.ts';
import { type ImageAlias, parseAliases } from '../core/images/aliases.ts';
import type { MachineDefaults } from '../core/machines/spec.ts';
import type { QuotaLimits } from '../core/quotas/quota.ts';
import { type NetworkSettings, readNetworkSettings } from '../network/settings.ts';
import { stateDirBytesMax } from '../storage/layout.ts';
import { type Address, addressesOf, isLoopback, listenPlaces } from './addresses.ts';
import { milliseconds, type ProxyConfig, proxyVariables, readProxyConfig } from './proxy-config.ts';
import { port, wholeNumber } from './variables.ts';

const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1');
const diskMib = wholeNumber(1, 4_194_304).optional();
const isHttpUrl = (text: string) => /^https?:$/.test(URL.parse(text)?.protocol ?? '');
const quotaLimit = wholeNumber(0, 1_000_000_000).optional();

const portRange = z
  .string()
  .regex(/^\d{1,5}-\d{1,5}$/, 'must be two ports, such as 20000-29999')
  .transform((text) => text.split('-').map(Number) as [number, number])
  .refine(
    ([first, last]) => first >= 1 && first <= last && last <= 65_535,
    'must be two ports, the lower one first, such as 20000-29999',
  );

const environment = z.object({
  PORT: port.default(3000),
  FLOTILLA_LISTEN: z.string().optional(),
  /** Where the SSH gateway listens; 0: nowhere. Default: 2222, or any free port if PORT is 0. */
  FLOTILLA_SSH_PORT: port.optional(),
  /** Its addresses, as FLOTILLA_LISTEN. Port 0: any free port. */
  FLOTILLA_SSH_LISTEN: z.string().optional(),
  /**
   * Hatch's variable: `host:port`, or `:port` for every address of the host. FLOTILLA_LISTEN takes
   * precedence.
   */
  HATCH_HTTP_ADDR: z.string().optional(),
  ...proxyVariables,
  FLOTILLA_STATE_DIR: z.string().optional(),
  FLOTILLA_CACHE_DIR: z.string().optional(),
  /** postgres://…; default: SQLite in the state directory. Contains a password: never logged. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must begin with postgres://')
    .optional(),
  DISABLE_AUTH: flag.default(false),
  FLOTILLA_INSECURE: flag.default(false),
  /**
   * Origins, such as https://fleet.example.com, whose pages may call the API from a browser; separated by
   * commas.
   */
  FLOTILLA_CORS_ORIGINS: z.string().default(''),
  /** First uid of the range for VMMs, one per machine. Outside Debian's and systemd's ranges. */
  FLOTILLA_UID_BASE: wholeNumber(1000, 2_000_000_000).default(600_000),
  /** Ratio of memory for all guests to the host's memory; 1.5 allows half as much again. */
  FLOTILLA_MEMORY_OVERCOMMIT: z
    .string()
    .regex(/^\d{1,2}(\.\d{1,3})?$/, 'must be a number from 0.1 to 16, such as 1.5')
    .transform(Number)
    .refine((ratio) => ratio >= 0.1 && ratio <= 16, 'must be a number from 0.1 to 16, such as 1.5')
    .default(1),
  /** What a tenant may have who has no quota of its own: machines, vCPUs, memory and disk in MiB. */
  FLOTILLA_QUOTA_MACHINES: quotaLimit,
  FLOTILLA_QUOTA_VCPUS: quotaLimit,
  FLOTILLA_QUOTA_MEMORY_MIB: quotaLimit,
  FLOTILLA_QUOTA_DISK_MIB: quotaLimit,
  /** Hatch's name of FLOTILLA_QUOTA_MACHINES, which takes precedence. */
  HATCH_MAX_VMS_PER_USER: quotaLimit,
  /** How many snapshots each machine may have. */
  FLOTILLA_SNAPSHOTS_PER_MACHINE: quotaLimit,
  /** Hatch's name of it. */
  HATCH_MAX_SNAPSHOTS_PER_VM: quotaLimit,
  /** Machines with a route that Hatch's API made are suspended when nobody has used them for so long: 45m, 1h. Default: never. */
  HATCH_IDLE_TIMEOUT: z
    .string()
    .regex(/^[1-9]\d{0,4}(s|m|h)$/, 'must be a duration such as 90s, 45m or 2h')
    .optional(),
  /** Of Hyperfleet's own routes for files: bytes, and milliseconds. */
  HYPERFLEET_FILE_MAX_SIZE: wholeNumber(1, 2 ** 40).default(104_857_600),
  HYPERFLEET_FILE_TRANSFER_TIMEOUT: wholeNumber(1, 86_400_000).default(60_000),
  /** Hatch's names of what machines get that ask for nothing else. */
  HATCH_DEFAULT_VCPU: wholeNumber(1, 1024).default(1),
  HATCH_DEFAULT_MEM_MIB: wholeNumber(16, 1_048_576).default(512),
  /** The size of such a machine's disk, which is all that its guest can write. The second is the older name. */
  HATCH_MAX_OVERLAY_SIZE_MIB: diskMib,
  HATCH_MAX_ROOTFS_SIZE_MIB: diskMib,
  /** Asked about every key that is not this daemon's own. May contain a password: never logged. */
  HATCH_BETTER_AUTH_VERIFY_URL: z
    .string()
    .refine(isHttpUrl, 'must be an address that begins with http:// or https://')
    .optional(),
  /** The longest lifetime of an environment, in seconds. */
  FLOTILLA_ENV_LIFETIME_MAX: wholeNumber(1, 10 * 365 * 86_400).default(21_600),
  /** Where `serve --role host` serves TTstack's host API. */
  FLOTILLA_AGENT_LISTEN: z.string().default('127.0.0.1:9100'),
  /** How many days the disks of unknown machines are kept in quarantine. */
  FLOTILLA_QUARANTINE_DAYS: z.coerce.number().int().min(1).max(3650).default(7),
  /** How long an idle connection stays open for its next request. */
  FLOTILLA_KEEP_ALIVE_SECONDS: wholeNumber(1, 3600).default(75),
  /**
   * Which image a reference means that no image has as its name: `alpine:latest=debian-12,ubuntu-*=debian-12`.
   */
  FLOTILLA_IMAGE_ALIASES: z.string().max(65_536).default(''),
  /** The network of machines: `auto` is a bridge where the host can have one, and otherwise `user`. */
  FLOTILLA_NETWORK: z.enum(['auto', 'bridge', 'user']).default('auto'),
  /** The bridge's name, and that of the nftables tables. */
  FLOTILLA_NETWORK_BRIDGE: z.string().default('flotilla0'),
  /** The network namespace of bridge and taps: a name below /run/netns, or a path. Default: the daemon's own. */
  FLOTILLA_NETNS: z.string().optional(),
  /** The machines' network; its first address is the gateway. */
  FLOTILLA_NETWORK_CIDR: z.string().default('10.77.0.0/16'),
  /** A /64 of unique local addresses, such as fd77::/64; without it, machines have IPv4 only. */
  FLOTILLA_NETWORK_IPV6: z.string().optional(),
  /** Bridges of this host on which machines may stand, with the fixed addresses that they may have: `br0=192.168.1.128/25,br1`. */
  FLOTILLA_NETWORK_LAN_BRIDGES: z.string().optional(),
  /** Name servers that the machines' resolver asks, separated by commas. Default: those of the host's resolv.conf. */
  FLOTILLA_DNS: z.string().optional(),
  /** Ports of this host that machines get which ask for no certain one. */
  FLOTILLA_PORT_RANGE: portRange.default([20_000, 29_999]),
  /** Ports at which SSH clients enter one machine each. */
  FLOTILLA_SSH_PORTS: portRange.optional(),
  /** Hatch's names of their first and last. FLOTILLA_SSH_PORTS takes precedence. */
  HATCH_SSH_PORT_MIN: wholeNumber(1, 65_535).default(16_000),
  HATCH_SSH_PORT_MAX: wholeNumber(1, 65_535).default(26_000),
  FLOTILLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});

export type MachineSizes = Pick<MachineDefaults, 'vcpuCount' | 'memoryMib' | 'diskMib'>;

/** Hatch's variables that are read here. */
export const honouredHatchVariables: readonly string[] = Object.keys(environment.shape).filter((name) =>
  name.startsWith('HATCH_'),
);

/** Variables that take precedence over one of Hatch's. */
export const aboveHatchVariables: Readonly<Record<string, string>> = {
  HATCH_HTTP_ADDR: 'FLOTILLA_LISTEN',
  HATCH_PROXY_ADDR: 'FLOTILLA_PROXY_LISTEN',
  HATCH_MAX_VMS_PER_USER: 'FLOTILLA_QUOTA_MACHINES',
  HATCH_MAX_SNAPSHOTS_PER_VM: 'FLOTILLA_SNAPSHOTS_PER_MACHINE',
  HATCH_SSH_PORT_MIN: 'FLOTILLA_SSH_PORTS',
  HATCH_SSH_PORT_MAX: 'FLOTILLA_SSH_PORTS',
  HATCH_MAX_ROOTFS_SIZE_MIB: 'HATCH_MAX_OVERLAY_SIZE_MIB',
};

export interface Config {
  /** Host and port to listen on. Port 0: any free port. */
  readonly listen: readonly Address[];
  /** See FLOTILLA_AGENT_LISTEN; used by the role `host` only. */
  readonly agentListen: readonly Address[];
  /** Addresses of the SSH gateway. */
  readonly sshListen: readonly Address[];
  /** Whether they were asked for; the default ones may be taken by another program. */
  readonly isSshListenSet: boolean;
  readonly proxy: ProxyConfig;
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly databaseUrl: string | null;
  readonly isAuthDisabled: boolean;
  /** Scheme, host and port, as in a browser's Origin header. */
  readonly corsOrigins: ReadonlySet<string>;
  /** Null when not root: VMMs then run as the daemon's user. */
  readonly uidBase: number | null;
  /** See FLOTILLA_MEMORY_OVERCOMMIT. */
  readonly memoryOvercommit: number;
  /** What machines get that ask for nothing else; see HATCH_DEFAULT_VCPU. */
  readonly sizes: MachineSizes;
  /** See HYPERFLEET_FILE_MAX_SIZE. */
  readonly fileLimits: { readonly bytesMax: number; readonly transferMs: number };
  /** See HATCH_BETTER_AUTH_VERIFY_URL. */
  readonly keyServerUrl: string | null;
  /** See FLOTILLA_QUOTA_MACHINES. */
  readonly quotas: QuotaLimits;
  /** See FLOTILLA_ENV_LIFETIME_MAX. */
  readonly environmentLifetimeSecondsMax: number;
  /** See FLOTILLA_SNAPSHOTS_PER_MACHINE; null: any number. */
  readonly snapshotsPerMachine: number | null;
  /** See HATCH_IDLE_TIMEOUT; null: never. */
  readonly hatchIdleSeconds: number | null;
  /** See FLOTILLA_QUARANTINE_DAYS. */
  readonly quarantineDays: number;
  /** See FLOTILLA_KEEP_ALIVE_SECONDS. */
  readonly keepAliveMs: number;
  /** See FLOTILLA_IMAGE_ALIASES. */
  readonly imageAliases: readonly ImageAlias[];
  /** See FLOTILLA_NETWORK. */
  readonly network: NetworkSettings;
  /** See FLOTILLA_PORT_RANGE; inclusive. */
  readonly portRange: { readonly first: number; readonly last: number };
  /** Null: there is no SSH gateway. */
  readonly sshPortRange: { readonly first: number; readonly last: number } | null;
  /** Where the SSH ports of single machines are open. */
  readonly sshPortHosts: readonly string[];
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** Raises `invalid`, naming the variable. */
export function readConfig(env: NodeJS.ProcessEnv, isRoot: boolean = process.getuid?.() === 0): Config {
  // An empty variable counts as not set.
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ''));
  const parsed = environment.safeParse(given);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new AppError('invalid', `environment variable ${issue?.path.join('.')}: ${issue?.message}`);
  }
  const values = parsed.data;
  const stateDir = directory(values.FLOTILLA_STATE_DIR, isRoot, '/var/lib/flotilla', '.local/share/flotilla');
  if (Buffer.byteLength(stateDir) > stateDirBytesMax) {
    throw new AppError(
      'invalid',
      `FLOTILLA_STATE_DIR is longer than ${stateDirBytesMax} bytes: ${stateDir}`,
      {
        hint: 'Unix sockets below it must fit in 107 bytes; choose a shorter path.',
      },
    );
  }
  const listen = listenPlaces(
    ['FLOTILLA_LISTEN', values.FLOTILLA_LISTEN],
    ['HATCH_HTTP_ADDR', values.HATCH_HTTP_ADDR],
    values.PORT,
  );
  const sshListen = sshAddresses(values);
  const agentListen = addressesOf('FLOTILLA_AGENT_LISTEN', values.FLOTILLA_AGENT_LISTEN, agentPort);
  if (
    values.DISABLE_AUTH &&
    !values.FLOTILLA_INSECURE &&
    [...listen, ...agentListen, ...sshListen].some(({ host }) => !isLoopback(host))
  ) {
    throw new AppError('invalid', 'DISABLE_AUTH with an address that is not loopback would let anyone in', {
      hint: 'Listen on 127.0.0.1, leave authentication on, or set FLOTILLA_INSECURE=1 if you mean it.',
    });
  }
  return {
    listen,
    sshListen,
    isSshListenSet: values.FLOTILLA_SSH_PORT !== undefined || values.FLOTILLA_SSH_LISTEN !== undefined,
    agentListen,
    proxy: readProxyConfig(values),
    stateDir,
    cacheDir: directory(values.FLOTILLA_CACHE_DIR, isRoot, '/var/cache/flotilla', '.cache/flotilla'),
    databaseUrl: values.DATABASE_URL ?? null,
    isAuthDisabled: values.DISABLE_AUTH,
    corsOrigins: parseOrigins(values.FLOTILLA_CORS_ORIGINS),
    uidBase: isRoot ? values.FLOTILLA_UID_BASE : null,
    memoryOvercommit: values.FLOTILLA_MEMORY_OVERCOMMIT,
    sizes: {
      vcpuCount: values.HATCH_DEFAULT_VCPU,
      memoryMib: values.HATCH_DEFAULT_MEM_MIB,
      // Disks are sparse: 10 GiB cost nothing until written.
      diskMib: values.HATCH_MAX_OVERLAY_SIZE_MIB ?? values.HATCH_MAX_ROOTFS_SIZE_MIB ?? 10_240,
    },
    fileLimits: {
      bytesMax: values.HYPERFLEET_FILE_MAX_SIZE,
      transferMs: values.HYPERFLEET_FILE_TRANSFER_TIMEOUT,
    },
    keyServerUrl: values.HATCH_BETTER_AUTH_VERIFY_URL ?? null,
    quotas: {
      machines: values.FLOTILLA_QUOTA_MACHINES ?? values.HATCH_MAX_VMS_PER_USER ?? null,
      vcpus: values.FLOTILLA_QUOTA_VCPUS ?? null,
      memoryMib: values.FLOTILLA_QUOTA_MEMORY_MIB ?? null,
      diskMib: values.FLOTILLA_QUOTA_DISK_MIB ?? null,
    },
    snapshotsPerMachine: values.FLOTILLA_SNAPSHOTS_PER_MACHINE ?? values.HATCH_MAX_SNAPSHOTS_PER_VM ?? null,
    hatchIdleSeconds:
      values.HATCH_IDLE_TIMEOUT === undefined ? null : milliseconds(values.HATCH_IDLE_TIMEOUT) / 1000,
    environmentLifetimeSecondsMax: values.FLOTILLA_ENV_LIFETIME_MAX,
    quarantineDays: values.FLOTILLA_QUARANTINE_DAYS,
    keepAliveMs: values.FLOTILLA_KEEP_ALIVE_SECONDS * 1000,
    imageAliases: readAliases(values.FLOTILLA_IMAGE_ALIASES),
    network: readNetworkSettings({
      kind: values.FLOTILLA_NETWORK,
      bridge: values.FLOTILLA_NETWORK_BRIDGE,
      netns: values.FLOTILLA_NETNS,
      cidr: values.FLOTILLA_NETWORK_CIDR,
      ipv6: values.FLOTILLA_NETWORK_IPV6,
      lanBridges: values.FLOTILLA_NETWORK_LAN_BRIDGES,
      dns: values.FLOTILLA_DNS,
    }),
    portRange: { first: values.FLOTILLA_PORT_RANGE[0], last: values.FLOTILLA_PORT_RANGE[1] },
    sshPortRange: sshListen.length === 0 ? null : sshPortRange(values),
    sshPortHosts: [...new Set(sshListen.map(({ host }) => host))],
    logLevel: values.FLOTILLA_LOG_LEVEL,
  };
}

/** The variables that are set here and that the other environment does not have alike; null: it is not known. */
export function otherSettings(env: NodeJS.ProcessEnv, other: NodeJS.ProcessEnv | null): readonly string[] {
  if (other === null) return [];
  const names = Object.keys(environment.shape).filter((name) => name !== 'FLOTILLA_STATE_DIR');
  return names.filter((name) => env[name] && env[name] !== other[name]);
}

function directory(given: string | undefined, isRoot: boolean, system: string, inHome: string): string {
  if (given) return isAbsolute(given) ? resolve(given) : resolve(process.cwd(), given);
  return isRoot ? system : join(homedir(), inHome);
}

const sshPort = 2222;
/** TTstack's port of a host. */
const agentPort = 9100;

function sshAddresses(values: z.infer<typeof environment>): readonly Address[] {
  const { FLOTILLA_SSH_PORT: port, FLOTILLA_SSH_LISTEN: listen = '127.0.0.1' } = values;
  if (port === 0) return [];
  return addressesOf('FLOTILLA_SSH_LISTEN', listen, port ?? (values.PORT === 0 ? 0 : sshPort));
}

function sshPortRange({
  FLOTILLA_SSH_PORTS: range,
  HATCH_SSH_PORT_MIN: first,
  HATCH_SSH_PORT_MAX: last,
}: z.infer<typeof environment>): Config['portRange'] {
  if (range !== undefined) return { first: range[0], last: range[1] };
  if (first <= last) return { first, last };
  throw new AppError('invalid', `HATCH_SSH_PORT_MIN: ${first} is above HATCH_SSH_PORT_MAX, ${last}`, {
    hint: 'Set both, the lower one first; their defaults are 16000 and 26000.',
  });
}

function parseOrigins(text: string): ReadonlySet<string> {
  const origins = text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  for (const origin of origins) {
    if (URL.canParse(origin) && new URL(origin).origin === origin) continue;
    throw new AppError('invalid', `FLOTILLA_CORS_ORIGINS: not an origin: '${origin}'`, {
      hint: 'Write scheme, host and port as https://fleet.example.com or http://localhost:5173, several with commas.',
    });
  }
  return new Set(origins);
}

function readAliases(text: string): readonly ImageAlias[] {
  try {
    return parseAliases(text);
  } catch (error) {
    if (!isAppError(error)) throw error;
    const { message, hint } = error;
    throw new AppError('invalid', `FLOTILLA_IMAGE_ALIASES: ${message}`, {
      cause: error,
      ...(hint ? { hint } : {}),
    });
  }
}

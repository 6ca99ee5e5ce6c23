/** The only reader of the environment. Every variable, its default and its limits are here. */
import { isIPv4 } from 'node:net';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import { stateDirBytesMax } from '../storage/layout.ts';

const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1');
/** Decimal digits only: JavaScript's conversion would accept `0x927C0`, `1e6` and spaces. */
const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);
const port = wholeNumber(0, 65_535);

const environment = z.object({
  PORT: port.default(3000),
  FLOTILLA_LISTEN: z.string().optional(),
  /**
   * Hatch's variable: `host:port`, or `:port` for every address of the host. FLOTILLA_LISTEN takes
   * precedence.
   */
  HATCH_HTTP_ADDR: z.string().optional(),
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
  /** How many days the disks of unknown machines are kept in quarantine. */
  FLOTILLA_QUARANTINE_DAYS: z.coerce.number().int().min(1).max(3650).default(7),
  /** How long an idle connection stays open for its next request. */
  FLOTILLA_KEEP_ALIVE_SECONDS: wholeNumber(1, 3600).default(75),
  FLOTILLA_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
});

export interface Config {
  /** Host and port to listen on. Port 0: any free port. */
  readonly listen: readonly Address[];
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
  /** See FLOTILLA_QUARANTINE_DAYS. */
  readonly quarantineDays: number;
  /** See FLOTILLA_KEEP_ALIVE_SECONDS. */
  readonly keepAliveMs: number;
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
  const listen = parseAddresses(values);
  if (values.DISABLE_AUTH && !values.FLOTILLA_INSECURE && listen.some(({ host }) => !isLoopback(host))) {
    throw new AppError('invalid', 'DISABLE_AUTH with an address that is not loopback would let anyone in', {
      hint: 'Listen on 127.0.0.1, leave authentication on, or set FLOTILLA_INSECURE=1 if you mean it.',
    });
  }
  return {
    listen,
    stateDir,
    cacheDir: directory(values.FLOTILLA_CACHE_DIR, isRoot, '/var/cache/flotilla', '.cache/flotilla'),
    databaseUrl: values.DATABASE_URL ?? null,
    isAuthDisabled: values.DISABLE_AUTH,
    corsOrigins: parseOrigins(values.FLOTILLA_CORS_ORIGINS),
    uidBase: isRoot ? values.FLOTILLA_UID_BASE : null,
    memoryOvercommit: values.FLOTILLA_MEMORY_OVERCOMMIT,
    quarantineDays: values.FLOTILLA_QUARANTINE_DAYS,
    keepAliveMs: values.FLOTILLA_KEEP_ALIVE_SECONDS * 1000,
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

interface Address {
  readonly host: string;
  readonly port: number;
}

function parseAddresses(values: z.infer<typeof environment>): readonly Address[] {
  const { FLOTILLA_LISTEN: ours, HATCH_HTTP_ADDR: hatch, PORT: defaultPort } = values;
  if (ours === undefined && hatch !== undefined) {
    return [parseAddress('HATCH_HTTP_ADDR', hatch.replace(/^:/, '0.0.0.0:'), defaultPort)];
  }
  const texts = (ours ?? '127.0.0.1').split(',');
  return texts.map((text) => parseAddress('FLOTILLA_LISTEN', text.trim(), defaultPort));
}

/** `host`, `host:port`, `[v6]`, `[v6]:port`. */
function parseAddress(variable: string, text: string, defaultPort: number): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const parsed =
    match?.[3] === undefined ? { success: true as const, data: defaultPort } : port.safeParse(match[3]);
  if (!host || !parsed.success) {
    throw new AppError('invalid', `${variable}: not an address: '${text}'`, {
      hint: 'Write 127.0.0.1, 127.0.0.1:8080 or [::1]:8080; FLOTILLA_LISTEN takes several, with commas.',
    });
  }
  return { host, port: parsed.data };
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

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/**
 * Owns everything that a bench creates on this host: a temporary directory, servers, VMs. Closing it ends and
 * removes all of that, however the bench ended.
 */
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../src/core/errors.ts';
import { QemuDriver } from '../src/engines/qemu/driver.ts';
import { Namespace, whyNoNamespaces } from '../src/network/lab/namespaces.ts';
import { StateLayout } from '../src/storage/layout.ts';
import type { BenchContext } from './bench-context.ts';
import { type ServerProcess, startServer } from './child.ts';

/**
 * First user id of the bench's VMMs; differs from the daemon's default so that the two do not share users.
 */
const uidBase = 650_000;

/** Set explicitly, whatever the umask: the VMMs' users must be able to pass through. */
const directoryMode = 0o711;

const cliFile = join(import.meta.dirname, '..', 'src', 'main', 'cli.ts');
const bareServerFile = join(import.meta.dirname, 'bare-server.ts');

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface BenchDaemon extends Endpoint {
  readonly pid: number;
  readonly key: string;
  readonly layout: StateLayout;
  /** Path of the network namespace of its bridge; null: it has none. */
  readonly netns: string | null;
  /** Of the reverse proxy. */
  readonly proxyUrl: string;
}

export interface DaemonOptions {
  /** Fills the state directory first. */
  readonly prepare?: (layout: StateLayout) => Promise<void>;
  /** Machines get taps on a bridge in a namespace of the bench's own, where this host can have them. */
  readonly hasBridge?: boolean;
  /** Default: this host's. */
  readonly cacheDir?: string;
}

export class Workplace implements AsyncDisposable {
  readonly #context: BenchContext;
  readonly #root: string;
  readonly #cleanup = new AsyncDisposableStack();
  #daemons = 0;

  private constructor(context: BenchContext, root: string) {
    this.#context = context;
    this.#root = root;
    this.#cleanup.defer(() => rm(root, { recursive: true, force: true }));
  }

  static async open(context: BenchContext): Promise<Workplace> {
    // Short, because the paths of unix sockets below it are limited.
    const root = await mkdtemp(join(tmpdir(), 'fb-'));
    await chmod(root, directoryMode);
    return new Workplace(context, root);
  }

  /** Registers work to do before the directory is removed; runs newest first. */
  defer(work: () => Promise<void>): void {
    this.#cleanup.defer(work);
  }

  async directory(name: string): Promise<string> {
    const path = join(this.#root, name);
    await mkdir(path);
    await chmod(path, directoryMode);
    return path;
  }

  /**
   * Starts `serve` with authentication, on a free port and its own state directory. It leaves the host's network alone.
   * Closing the workplace also ends the machines.
   */
  async startDaemon({ prepare, hasBridge = false, cacheDir }: DaemonOptions = {}): Promise<BenchDaemon> {
    this.#daemons += 1;
    const netns = hasBridge ? await this.#makeNamespace() : null;
    const layout = new StateLayout(await this.directory(`d${this.#daemons}`));
    await prepare?.(layout);
    this.#cleanup.defer(() => destroyMachines(layout));
    const env = {
      ...this.#context.env,
      PORT: '0',
      FLOTILLA_LISTEN: '127.0.0.1',
      FLOTILLA_STATE_DIR: layout.root,
      FLOTILLA_UID_BASE: String(uidBase),
      FLOTILLA_LOG_LEVEL: 'info',
      DISABLE_AUTH: 'false',
      ...(cacheDir === undefined ? {} : { FLOTILLA_CACHE_DIR: cacheDir }),
      ...(netns === null
        ? { FLOTILLA_NETWORK: 'user' }
        : { FLOTILLA_NETWORK: 'bridge', FLOTILLA_NETNS: netns }),
    };
    const server = await this.#start([cliFile, 'serve'], withBenchDatabase(env), (line) =>
      line.includes('"msg":"listening"'),
    );
    const { urls, proxyUrls } = JSON.parse(server.readyLine) as Record<
      'urls' | 'proxyUrls',
      readonly string[]
    >;
    const key = (await readFile(layout.adminKeyFile, 'utf8')).trim();
    return {
      pid: server.pid,
      key,
      layout,
      netns,
      proxyUrl: proxyUrls[0] ?? '',
      ...endpointOf(urls[0] ?? ''),
    };
  }

  /** Null where this host cannot make one. */
  async #makeNamespace(): Promise<string | null> {
    const reason = await whyNoNamespaces();
    if (reason !== null) {
      this.#context.say(`machines have no tap: ${reason}`);
      return null;
    }
    return this.#cleanup.use(await Namespace.make()).path;
  }

  /** Starts `bare-server.ts`: the same server without Flotilla's application. */
  async startBareServer(): Promise<Endpoint> {
    const server = await this.#start([bareServerFile], this.#context.env, (line) => line.startsWith('http:'));
    return endpointOf(server.readyLine);
  }

  async #start(
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    isReady: (line: string) => boolean,
  ): Promise<ServerProcess> {
    const server = await startServer(args, env, isReady, this.#context.signal);
    this.#cleanup.defer(() => server.close());
    return server;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cleanup.disposeAsync();
  }
}

/**
 * Replaces DATABASE_URL, so that the bench never uses the database of this host's daemon, by an empty one that is meant for
 * it. Default: SQLite.
 */
function withBenchDatabase(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { DATABASE_URL: _, FLOTILLA_BENCH_DATABASE_URL: url, ...rest } = env;
  return url === undefined ? rest : { ...rest, DATABASE_URL: url };
}

const destroyTimeoutMs = 60_000;

/** Ends the VMs that the daemon has left running, since machines outlive their daemon. */
async function destroyMachines(layout: StateLayout): Promise<void> {
  const driver = new QemuDriver({ layout, uidBase: null });
  const signal = AbortSignal.timeout(destroyTimeoutMs);
  try {
    for (const { incarnation } of await driver.list(signal)) await driver.destroy(incarnation, signal);
  } finally {
    await driver.close();
  }
}

/** Raises `internal` for what is no address. */
export function endpointOf(url: string): Endpoint {
  if (!URL.canParse(url))
    throw new AppError('internal', `the bench server printed an invalid address: '${url}'`);
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

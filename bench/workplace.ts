/**
 * Everything a bench has on this host: a temporary directory, servers, VMs. Closing it ends and removes all of that,
 * however the bench ended.
 */
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AppError } from '../src/core/errors.ts';
import { QemuDriver } from '../src/engines/qemu/driver.ts';
import { StateLayout } from '../src/storage/layout.ts';
import type { BenchContext } from './bench-context.ts';
import { type ServerProcess, startServer } from './child.ts';

/** VMMs of the bench run as other users than those of a daemon that is at home here. */
const uidBase = 650_000;

/** Whatever the umask: the VMMs' own users pass through. */
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
    // Short, as unix sockets live below it.
    const root = await mkdtemp(join(tmpdir(), 'fb-'));
    await chmod(root, directoryMode);
    return new Workplace(context, root);
  }

  /** To be undone before the directory goes; the latest first. */
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
   * Starts `serve` with authentication on, on a free port, with a state directory of its own, which `prepare` may fill
   * first. What its machines leave goes when the workplace is closed.
   */
  async startDaemon(prepare?: (layout: StateLayout) => Promise<void>): Promise<BenchDaemon> {
    this.#daemons += 1;
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
    };
    const server = await this.#start([cliFile, 'serve'], withoutDatabase(env), (line) =>
      line.includes('"msg":"listening"'),
    );
    const { urls } = JSON.parse(server.readyLine) as { urls: readonly string[] };
    const key = (await readFile(layout.adminKeyFile, 'utf8')).trim();
    return { pid: server.pid, key, layout, ...endpointOf(urls[0] ?? '') };
  }

  /** Starts `bare-server.ts`: the same server without any of Flotilla's application. */
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

/** State is kept in the bench's own directory, whatever this host's daemon uses. */
function withoutDatabase({ DATABASE_URL: _, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}

const destroyTimeoutMs = 60_000;

/** Machines outlive their daemon; this ends what it has left running. */
async function destroyMachines(layout: StateLayout): Promise<void> {
  const driver = new QemuDriver({ layout, uidBase: null });
  const signal = AbortSignal.timeout(destroyTimeoutMs);
  try {
    for (const { incarnation } of await driver.list(signal)) await driver.destroy(incarnation, signal);
  } finally {
    await driver.close();
  }
}

function endpointOf(url: string): Endpoint {
  if (!URL.canParse(url)) throw new AppError('internal', `a server of the bench listens at '${url}'`);
  const { hostname, port } = new URL(url);
  return { host: hostname, port: Number(port) };
}

/**
 * The daemon. Start order: lock, store, images, a runner for each open operation, reconciliation, then the
 * listener, so that every answer is true. SIGTERM and SIGINT end the daemon and leave the machines running.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { pino } from 'pino';
import { AppError } from '../core/errors.ts';
import type { KeyVerifier } from '../core/keys/caller.ts';
import { createApp } from '../http/app.ts';
import type { HttpDeps } from '../http/context.ts';
import { pickDialect } from '../http/dialect.ts';
import { ttstackHostDialect } from '../http/dialects/ttstack/dialect.ts';
import { dialects } from '../http/dialects.ts';
import { type HttpServer, listen } from '../http/server.ts';
import { abortable } from '../lib/abort.ts';
import { writeFileAtomic } from '../lib/files.ts';
import { releaseMemory } from '../lib/garbage.ts';
import type { Logger } from '../lib/log.ts';
import { protectFromOom } from '../lib/oom.ts';
import { StateLayout } from '../storage/layout.ts';
import { adminKeyVerifier, loadAdminKey, openVerifier, operatorVerifier } from './admin-key.ts';
import { BetterAuthVerifier, withBetterAuth } from './better-auth.ts';
import { type ComposeOptions, compose, type Flotilla } from './compose.ts';
import type { Config } from './config.ts';
import { lockStateDirectory } from './daemon-lock.ts';
import { hostNames, inUrl } from './host-names.ts';
import { logSink } from './log-sink.ts';
import { listenForOperator } from './operator-socket.ts';
import { openProxy } from './proxy.ts';
import { routeUrlOf } from './proxy-config.ts';
import { loadSshKeys, type OpenSsh, openSsh } from './ssh.ts';
import { version } from './version.ts';

/** How long open requests may continue after SIGTERM. */
const drainMs = 5_000;
/** After the start, when nothing of it is used any more: its garbage is given back to the host. */
const settledMs = 10_000;

/** `host`: also serves TTstack's host API on a listener of its own, for a controller elsewhere. */
export type Role = 'all-in-one' | 'host';

export interface ServeOptions {
  /** Default: all-in-one. */
  readonly role?: Role;
}

export interface Daemon {
  readonly flotilla: Flotilla;
  readonly urls: readonly string[];
  /** Of the reverse proxy. */
  readonly proxyUrls: readonly string[];
  readonly ssh: OpenSsh;
  /** Ends the daemon; machines keep running. */
  close(): Promise<void>;
}

/**
 * Starts a daemon in this process. Raises `conflict` when one runs already, `unavailable` when an address is
 * taken; it then leaves nothing behind.
 */
export async function startDaemon(
  config: Config,
  log: Logger,
  options: ComposeOptions & ServeOptions & { readonly signal?: AbortSignal } = {},
): Promise<Daemon> {
  const made = await mkdir(config.stateDir, { recursive: true });
  if (made !== undefined) await chmod(config.stateDir, 0o711);
  const cleanup = new AsyncDisposableStack();
  try {
    const unlock = await lockStateDirectory(new StateLayout(config.stateDir).lockFile);
    cleanup.defer(unlock);
    const flotilla = await compose(config, log, options);
    cleanup.defer(() => flotilla.close());
    const { layout } = flotilla;
    await writeFileAtomic(layout.pidFile, `${process.pid}\n`, 0o644);
    cleanup.defer(() => rm(layout.pidFile, { force: true }));
    // In the background: checking new images takes seconds, and a request that needs one earlier imports that
    // one itself.
    const stopping = new AbortController();
    const importsUnderWay = await openOperations(flotilla);
    const { signal } = stopping;
    const stop = () =>
      stopping.abort(
        new AppError('unavailable', 'the daemon is shutting down', {
          hint: 'Try again when it has restarted.',
        }),
      );
    const synced = flotilla.images.sync({ signal, importsUnderWay }).catch((error: unknown) => {
      if (signal.aborted) return;
      log.error({ err: error }, 'images not imported from the cache');
    });
    cleanup.defer(async () => {
      stop();
      await synced;
    });
    await takeUp(flotilla, log, cleanup, options.signal);
    const { urls, proxyUrls, ssh } = await open(config, flotilla, log, cleanup, options.role);
    const tried = tryEngines(flotilla, log, signal);
    cleanup.defer(async () => {
      stop();
      await tried;
    });
    return { flotilla, urls, proxyUrls, ssh, close: () => cleanup.disposeAsync() };
  } catch (error) {
    await cleanup.disposeAsync();
    throw error;
  }
}

/** The ids of operations that will be taken up, or cannot be read. */
async function openOperations({ store, owner }: Flotilla): Promise<readonly string[]> {
  const open = await store.operations.open(owner.hostId);
  return [...open, ...(await store.operations.damaged(owner.hostId))].map(({ id }) => id);
}

/**
 * Gives every open operation of an earlier daemon a runner, and inspects the host, before the daemon listens.
 * The operations continue in the background; callers see their machines in transit until they end.
 */
async function takeUp(
  { supervisor, reconciler, keeper, network, snapshots, interrupt }: Flotilla,
  log: Logger,
  cleanup: AsyncDisposableStack,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  // Guests that run may send packets now. Those of the daemon before are in force until then.
  await network.restore().catch((error: unknown) => log.error({ err: error }, 'network not restored'));
  const { ended } = await supervisor.recover();
  const logged = ended.catch((error: unknown) => log.error({ err: error }, 'open operations not taken up'));
  cleanup.defer(async () => {
    await interrupt();
    await logged;
  });
  await abortable(reconciler.run(), signal);
  await snapshots
    .collect(signal)
    .catch((error: unknown) => log.error({ err: error }, 'remains of snapshots not removed'));
  reconciler.start();
  keeper.start();
}

/** Before the first machine needs it, so that limitations of this host are logged at the start. */
async function tryEngines({ edges }: Flotilla, log: Logger, signal: AbortSignal): Promise<void> {
  for (const [engine, driver] of edges.engines) {
    const { isAvailable, accelerator, missing, notes } = await driver.probe(signal);
    if (signal.aborted) return;
    if (!isAvailable) log.error({ engine, missing }, 'engine not available');
    else log.info({ engine, accelerator }, 'engine available');
    for (const note of notes) log.warn({ engine, note }, 'engine is limited on this host');
  }
}

function keyVerifier({ keyServerUrl }: Config, own: KeyVerifier, log: Logger): KeyVerifier {
  if (keyServerUrl === null) return own;
  return withBetterAuth(own, new BetterAuthVerifier({ url: keyServerUrl, log }));
}

async function open(
  config: Config,
  flotilla: Flotilla,
  log: Logger,
  cleanup: AsyncDisposableStack,
  role: Role = 'all-in-one',
): Promise<Pick<Daemon, 'urls' | 'proxyUrls' | 'ssh'>> {
  const { layout, machines, apiKeys, operations, quotas, scripts, templates, images, imageService, edges } =
    flotilla;
  const { environments, files, hosts } = flotilla;
  const { key, isNew } = await loadAdminKey(layout.adminKeyFile);
  const verifier = adminKeyVerifier(key, keyVerifier(config, apiKeys, log));
  const keys = config.isAuthDisabled ? openVerifier : verifier;
  const ssh = await openSsh(config, await loadSshKeys(layout), flotilla, keys, log);
  cleanup.defer(() => ssh.close());
  const deps = {
    machines,
    environments,
    files,
    commands: flotilla.commands,
    connections: flotilla.connections,
    network: flotilla.network,
    fileLimits: config.fileLimits,
    hatchIdleSeconds: config.hatchIdleSeconds,
    hosts,
    operations,
    scripts,
    templates,
    snapshots: flotilla.snapshots,
    routes: flotilla.routes,
    routeUrl: routeUrlOf(config.proxy),
    images,
    imageService,
    disks: edges.disks,
    apiKeys,
    sshKeys: flotilla.sshKeys,
    sshCertificates: ssh.certificates,
    quotas,
    log,
    version,
    corsOrigins: config.corsOrigins,
  };
  const openDeps = {
    ...deps,
    keys,
    isHostName: config.isAuthDisabled ? hostNames(config) : null,
  };
  const app = createApp(dialects, openDeps);
  const operatorApp = createApp(dialects, {
    ...deps,
    keys: config.isAuthDisabled ? operatorVerifier : verifier,
    isHostName: null,
  });
  const options = { refuse: pickDialect(dialects, '/').refusal, keepAliveMs: config.keepAliveMs };
  const servers: HttpServer[] = [];
  cleanup.defer(async () => {
    const drained = servers.map((server) => server.close(drainMs));
    // Open requests wait for operations; these are interrupted and left for the next daemon.
    await Promise.all([...drained, flotilla.interrupt()]);
  });
  servers.push(await listenForOperator(layout, operatorApp.fetch, options));
  const addresses: HttpServer[] = [];
  for (const { host, port } of config.listen) {
    const server = await listen(app.fetch, { host, port }, options);
    servers.push(server);
    addresses.push(server);
  }
  const urls = addresses.map((address) => urlOf(address));
  const proxy = await openProxy(config.proxy, flotilla, log);
  cleanup.defer(() => proxy.close(drainMs));
  const proxyUrls = proxy.addresses.map((address) => urlOf(address));
  if (proxyUrls.length > 0) {
    await writeFileAtomic(layout.proxyUrlFile, `${proxyUrls[0]}\n`, 0o644);
    cleanup.defer(() => rm(layout.proxyUrlFile, { force: true }));
  }
  const agentServers = role === 'host' ? await listenAsHost(config, openDeps) : [];
  servers.push(...agentServers);
  await writeFileAtomic(layout.urlFile, `${urls[0]}\n`, 0o644);
  cleanup.defer(() => rm(layout.urlFile, { force: true }));
  const tlsUrls = proxy.tlsAddresses.map((address) => urlOf(address, 'https'));
  if (tlsUrls.length > 0) log.info({ urls: tlsUrls }, 'reverse proxy listening with TLS');
  log.info({ urls, proxyUrls, stateDir: config.stateDir, version }, 'listening');
  if (role === 'host')
    log.info({ urls: agentServers.map((server) => urlOf(server)) }, 'listening for a TTstack controller');
  const settled = setTimeout(releaseMemory, settledMs).unref();
  cleanup.defer(() => clearTimeout(settled));
  if (isNew && !config.isAuthDisabled) log.info({ path: layout.adminKeyFile }, 'admin key created');
  return { urls, proxyUrls, ssh };
}

/** TTstack's host API; its paths mean something else on the other listeners. */
async function listenAsHost(config: Config, deps: HttpDeps): Promise<readonly HttpServer[]> {
  const app = createApp([ttstackHostDialect], deps);
  const options = { refuse: ttstackHostDialect.refusal, keepAliveMs: config.keepAliveMs };
  const servers: HttpServer[] = [];
  for (const place of config.agentListen) {
    try {
      servers.push(await listen(app.fetch, place, options));
    } catch (error) {
      await Promise.all(servers.map((server) => server.close(0)));
      throw error;
    }
  }
  return servers;
}

function urlOf({ host, port }: Pick<HttpServer, 'host' | 'port'>, scheme: 'http' | 'https' = 'http'): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `${scheme}://${inUrl(reachable)}:${port}`;
}

const notRoot =
  'NOT RUNNING AS ROOT: every VMM runs as this user and reaches all that is its own, other VMMs included; ' +
  'no image can be imported';

/** `flotilla serve`: runs until SIGTERM or SIGINT. */
export async function serve(
  config: Config,
  options: Pick<ComposeOptions, 'isAdopting'> & ServeOptions = {},
): Promise<void> {
  const log = pino(
    { level: config.logLevel, redact: ['key', 'token', 'secret', '*.key', '*.token', 'authorization'] },
    logSink(process.stdout.fd, { path: new StateLayout(config.stateDir).logFile }),
  );
  if (process.geteuid?.() !== 0) log.warn({}, notRoot);
  if (!protectFromOom()) log.info({}, 'OOM score not lowered: needs root');
  const stopping = new AbortController();
  const { promise, resolve } = Promise.withResolvers<string>();
  // From the beginning, because a signal during a long start must also leave nothing behind.
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      stopping.abort(new AppError('unavailable', `the daemon was asked to stop by ${name}`));
      resolve(name);
    });
  }
  const daemon = await startDaemon(config, log, { ...options, signal: stopping.signal }).catch(
    (error: unknown) => {
      if (!stopping.signal.aborted) throw error;
      log.info({ reason: String(error) }, 'stopped while starting; machines keep running');
      return null;
    },
  );
  if (!daemon) return;
  const signal = await promise;
  log.info({ signal }, 'shutting down; machines keep running');
  await daemon.close();
}

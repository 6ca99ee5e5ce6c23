/**
 * The daemon. Start order: lock, store, images, recovery, reconciliation, then the listener, so that whoever is answered
 * sees the truth. SIGTERM and SIGINT end the daemon and leave the machines running.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { pino } from 'pino';
import { AppError } from '../core/errors.ts';
import { createApp } from '../http/app.ts';
import { pickDialect } from '../http/dialect.ts';
import { dialects } from '../http/dialects.ts';
import { type HttpServer, listen } from '../http/server.ts';
import { writeFileAtomic } from '../lib/files.ts';
import type { Logger } from '../lib/log.ts';
import { StateLayout } from '../storage/layout.ts';
import { adminKeyVerifier, loadAdminKey, openVerifier } from './admin-key.ts';
import { type ComposeOptions, compose, type Flotilla } from './compose.ts';
import type { Config } from './config.ts';
import { lockStateDirectory } from './daemon-lock.ts';
import { hostNames, inUrl } from './host-names.ts';
import { logSink } from './log-sink.ts';
import { version } from './version.ts';

/** How long requests under way may go on after SIGTERM. */
const drainMs = 5_000;

export interface Daemon {
  readonly flotilla: Flotilla;
  readonly urls: readonly string[];
  /** Ends the daemon; machines go on. */
  close(): Promise<void>;
}

/**
 * Starts a daemon in this process. Raises `conflict` when one runs already, `unavailable` when an address is taken; then
 * nothing of it is left.
 */
export async function startDaemon(
  config: Config,
  log: Logger,
  options: ComposeOptions = {},
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
    // In the background: checking what is new takes seconds, and who needs an image before then brings in that one.
    const stopping = new AbortController();
    const synced = flotilla.images.sync(stopping.signal).catch((error: unknown) => {
      if (stopping.signal.aborted) return;
      log.error({ err: error }, 'images could not be brought in from the cache');
    });
    cleanup.defer(() => {
      stopping.abort(new AppError('unavailable', 'the daemon is shutting down'));
      return synced;
    });
    await takeUp(flotilla);
    const urls = await open(config, flotilla, log, cleanup);
    return { flotilla, urls, close: () => cleanup.disposeAsync() };
  } catch (error) {
    await cleanup.disposeAsync();
    throw error;
  }
}

/** What a crash, an exit or the host's reboot left undone, before anyone is answered. */
async function takeUp({ machines, reconciler, noteBoot }: Flotilla): Promise<void> {
  await machines.recover();
  await reconciler.run();
  await noteBoot();
  reconciler.start();
}

async function open(
  config: Config,
  flotilla: Flotilla,
  log: Logger,
  cleanup: AsyncDisposableStack,
): Promise<readonly string[]> {
  const { layout, machines, apiKeys, operations, images, imageService, edges } = flotilla;
  const { key, isNew } = await loadAdminKey(layout.adminKeyFile);
  const app = createApp(dialects, {
    machines,
    operations,
    images,
    imageService,
    disks: edges.disks,
    keys: config.isAuthDisabled ? openVerifier : adminKeyVerifier(key, apiKeys),
    apiKeys,
    log,
    version,
    isHostName: config.isAuthDisabled ? hostNames(config) : null,
    corsOrigins: config.corsOrigins,
  });
  const { refusal: refuse } = pickDialect(dialects, '/');
  const servers: HttpServer[] = [];
  cleanup.defer(async () => {
    const drained = servers.map((server) => server.close(drainMs));
    // Requests under way wait for operations; these are interrupted, and left for the next daemon.
    await Promise.all([...drained, machines.close(), imageService.close()]);
  });
  for (const { host, port } of config.listen) {
    servers.push(await listen(app.fetch, { host, port }, { refuse }));
  }
  const urls = servers.map(urlOf);
  await writeFileAtomic(layout.urlFile, `${urls[0]}\n`, 0o644);
  cleanup.defer(() => rm(layout.urlFile, { force: true }));
  log.info({ urls, stateDir: config.stateDir, version }, 'listening');
  if (isNew && !config.isAuthDisabled) log.info({ path: layout.adminKeyFile }, 'an admin key was made');
  return urls;
}

function urlOf({ host, port }: HttpServer): string {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  return `http://${inUrl(reachable)}:${port}`;
}

/** `flotilla serve`: runs until SIGTERM or SIGINT. */
export async function serve(config: Config): Promise<void> {
  const log = pino(
    { level: config.logLevel, redact: ['key', 'token', 'secret', '*.key', '*.token', 'authorization'] },
    logSink(process.stdout.fd, { path: new StateLayout(config.stateDir).logFile }),
  );
  const daemon = await startDaemon(config, log);
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => resolve(signal));
  const signal = await promise;
  log.info({ signal }, 'shutting down; machines go on');
  await daemon.close();
}

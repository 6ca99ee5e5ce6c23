/**
 * Ensures that only one daemon uses a host's records: holds a PostgreSQL advisory lock for as long as its
 * connection lives. A broken connection is reopened. If another daemon claims the host in between, the fence
 * keeps this one from writing (core/hosts/fence.ts).
 */
import { Client, type ClientConfig } from 'pg';
import { AppError } from '../core/errors.ts';

/** Delay before each attempt to reopen the connection. */
const retryMs = 1_000;

/**
 * Lets the server notice within half a minute that a host has vanished, so that the next daemon can start.
 */
const keepalives = `
  select set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false)`;

export class PostgresHold {
  readonly #config: ClientConfig;
  #client: Client | null = null;
  #retry: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(config: ClientConfig) {
    this.#config = config;
  }

  /** Raises `conflict` when another daemon holds the host, and connection errors. */
  async take(hostId: string): Promise<void> {
    const client = new Client(this.#config);
    // An `end` event follows every error.
    client.on('error', () => undefined);
    await client.connect();
    try {
      await client.query(keepalives);
      const locking = 'select pg_try_advisory_lock(hashtextextended($1, 0)) as "isOurs"';
      const { rows } = await client.query<{ isOurs: boolean }>(locking, [
        `flotilla daemon of host ${hostId}`,
      ]);
      if (rows[0]?.isOurs !== true) throw held(hostId);
    } catch (error) {
      await client.end();
      throw error;
    }
    if (this.#isClosed) return client.end();
    this.#client = client;
    client.once('end', () => this.#lost(hostId));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#retry !== null) clearTimeout(this.#retry);
    const client = this.#client;
    this.#client = null;
    await client?.end();
  }

  #lost(hostId: string): void {
    this.#client = null;
    if (this.#isClosed) return;
    this.#retry = setTimeout(() => {
      this.take(hostId).catch(() => this.#lost(hostId));
    }, retryMs);
  }
}

function held(hostId: string): AppError {
  return new AppError('conflict', `another daemon of this host (${hostId}) uses the database`, {
    hint: 'Stop it first. If this state directory is a copy of another one, remove host-id, host-epoch and the disks from it.',
  });
}

/**
 * Keeps a host's database records to one daemon, by a lock of the server's that lasts as long as a connection. When the
 * connection breaks it is made again; a daemon that comes in between has claimed the host, so this one writes nothing
 * more (core/hosts/fence.ts).
 */
import { Client, type ClientConfig } from 'pg';
import { AppError } from '../core/errors.ts';

/** Between the loss of the connection and each attempt to have it again. */
const retryMs = 1_000;

/** The server learns within half a minute that a host has gone without a word, and lets the next daemon in. */
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

  /** Raises `conflict` when another daemon holds the host, what a connection raises else. */
  async take(hostId: string): Promise<void> {
    const client = new Client(this.#config);
    // An error is followed by the end.
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
    hint: 'Stop it first. If this state directory is a copy of another’s, remove host-id and host-epoch from it, and its disks.',
  });
}

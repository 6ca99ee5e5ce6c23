/**
 * NOTIFY and LISTEN between the daemons of one PostgreSQL database. The server serialises the commits of transactions
 * that notify, so a ring is a statement of its own after the commit, and several in a row are one. A lost ring costs at
 * most the poll interval: who follows the events reads them from the table in any case.
 */
import { Client, type ClientConfig, type Pool } from 'pg';
import type { RemoteBell } from './doorbell.ts';

const channel = 'flotilla_events';
/** Rings within this time are one. */
const debounceMs = 10;
/** How often the listener is called without a ring, and how long a broken connection stays broken. */
const pollMs = 1_000;

export class PostgresBell implements RemoteBell {
  readonly #pool: Pool;
  readonly #config: ClientConfig;
  #ringing: NodeJS.Timeout | null = null;
  #polling: NodeJS.Timeout | null = null;
  #client: Client | null = null;
  #isClosed = false;

  /** `config` opens the connection that listens; the pool's connections ring. */
  constructor(pool: Pool, config: ClientConfig) {
    this.#pool = pool;
    this.#config = config;
  }

  ring(): void {
    if (this.#isClosed) return;
    this.#ringing ??= setTimeout(() => {
      this.#ringing = null;
      // Whoever is not told looks by itself after the poll interval.
      this.#pool.query(`notify ${channel}`).catch(() => undefined);
    }, debounceMs);
  }

  async listen(listener: () => void): Promise<void> {
    const look = async () => {
      if (this.#client === null) await this.#connect(listener).catch(() => undefined);
      if (this.#isClosed) return;
      listener();
      this.#polling = setTimeout(look, pollMs);
    };
    await look();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#ringing) clearTimeout(this.#ringing);
    if (this.#polling) clearTimeout(this.#polling);
    await this.#client?.end().catch(() => undefined);
  }

  async #connect(listener: () => void): Promise<void> {
    const client = new Client(this.#config);
    const forget = () => {
      if (this.#client === client) this.#client = null;
    };
    client.on('error', forget);
    client.on('end', forget);
    client.on('notification', listener);
    await client.connect();
    if (this.#isClosed) return client.end();
    this.#client = client;
    try {
      await client.query(`listen ${channel}`);
    } catch (error) {
      forget();
      await client.end().catch(() => undefined);
      throw error;
    }
  }
}

/**
 * Signals commits between the daemons of one PostgreSQL database with NOTIFY and LISTEN. The server
 * serialises commits of transactions that notify, so the signal is a separate statement after the commit, and
 * signals in quick succession are merged. A lost signal only costs up to one poll interval, because listeners
 * read the events table in any case.
 */
import { Client, type ClientConfig, type Pool } from 'pg';
import type { RemoteBell } from './doorbell.ts';

const channel = 'flotilla_events';
/** Signals within this time are merged. */
const debounceMs = 10;
/**
 * How often the listener is called without a signal, and the delay before a broken connection is reopened.
 */
const pollMs = 1_000;

export class PostgresBell implements RemoteBell {
  readonly #pool: Pool;
  readonly #config: ClientConfig;
  #ringing: NodeJS.Timeout | null = null;
  #polling: NodeJS.Timeout | null = null;
  #client: Client | null = null;
  #isClosed = false;

  /** `config` opens the listening connection; the pool's connections send signals. */
  constructor(pool: Pool, config: ClientConfig) {
    this.#pool = pool;
    this.#config = config;
  }

  ring(): void {
    if (this.#isClosed) return;
    this.#ringing ??= setTimeout(() => {
      this.#ringing = null;
      // Whoever misses the signal polls after the interval.
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

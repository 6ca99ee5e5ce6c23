/**
 * A certificate for each name of the proxy's domain, fetched when a client first asks for the name and kept in files. In the
 * last third of its life the next client has it fetched again, and gets the old one meanwhile.
 *
 * Names are asked for by strangers, and an authority gives only so many certificates: only names of routes and exposed ports
 * are fetched, one at a time, at most 40 new ones in a week, and one that failed not again for a while.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecureContext } from 'node:tls';
import { AppError, isAppError } from '../../core/errors.ts';
import { abortable, deadline } from '../../lib/abort.ts';
import { ensureDirectory, hasErrorCode, writeFileAtomic } from '../../lib/files.ts';
import type { Logger } from '../../lib/log.ts';
import { Lru } from '../../lib/lru.ts';
import type { Authority } from './authority.ts';
import { type Certificates, type Loaded, load } from './certificates.ts';

export interface AcmeDeps {
  /** Holds `NAME.pem`, certificate and key; created when it is missing. */
  readonly directory: string;
  readonly authority: Pick<Authority, 'fetch' | 'challenges'>;
  /** Whether somebody may be reached by this name. */
  readonly isKnown: (name: string) => Promise<boolean>;
  readonly log: Logger;
  readonly now?: () => number;
}

/** Let's Encrypt gives 50 for a domain in a week, not counting renewals. */
const newPerWeekMax = 40;
const weekMs = 7 * 86_400_000;
const fetchMs = 120_000;
const firstRetryMs = 60_000;
const retryMsMax = 86_400_000;
/** Names that wait for their first certificate. */
const waitingMax = 100;
const rememberedMax = 2_000;
/** A name of files too: no other characters, and no two dots in a row. */
const namePattern = /^(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)*$/;
const challengePath = '/.well-known/acme-challenge/';

interface Failure {
  readonly retryMs: number;
  readonly atMs: number;
}

export class AcmeCertificates implements Certificates {
  readonly #deps: AcmeDeps;
  readonly #now: () => number;
  readonly #loaded = new Lru<string, Loaded>(rememberedMax);
  readonly #failures = new Lru<string, Failure>(rememberedMax);
  readonly #fetches = new Map<string, Promise<Loaded | null>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: AcmeDeps) {
    this.#deps = deps;
    this.#now = deps.now ?? Date.now;
  }

  async contextOf(name: string): Promise<SecureContext | null> {
    if (!namePattern.test(name)) return null;
    const kept = this.#loaded.get(name) ?? (await this.#read(name));
    if (kept === null) return (await this.#fetched(name, true))?.context ?? null;
    const { validFromDate: from, validToDate: to } = kept.certificate;
    const leftMs = to.getTime() - this.#now();
    const isOld = leftMs < (to.getTime() - from.getTime()) / 3;
    const renewed = isOld ? this.#fetched(name, false) : null;
    return leftMs > 0 ? kept.context : ((await renewed)?.context ?? null);
  }

  challengeAnswer(path: string): string | null {
    if (!path.startsWith(challengePath)) return null;
    return this.#deps.authority.challenges.get(path.slice(challengePath.length)) ?? null;
  }

  /** A client without a name gets no certificate. */
  attach(): void {}

  close(): void {}

  /** Shared by all who ask; null when there is none to be had at the moment. */
  async #fetched(name: string, isNew: boolean): Promise<Loaded | null> {
    // Before it takes a place in the queue: strangers may ask for any name.
    if (!(await this.#deps.isKnown(name))) return null;
    const known = this.#fetches.get(name);
    if (known !== undefined) return known;
    const failure = this.#failures.get(name);
    const isTooEarly = failure !== undefined && this.#now() < failure.atMs + failure.retryMs;
    if (isTooEarly || this.#fetches.size >= waitingMax) return null;
    // One after the other: each is a conversation of seconds with an authority that limits them.
    const fetching = this.#last
      .then(() => this.#fetch(name, isNew, failure))
      .finally(() => this.#fetches.delete(name));
    this.#last = fetching;
    this.#fetches.set(name, fetching);
    return fetching;
  }

  async #fetch(name: string, isNew: boolean, before: Failure | undefined): Promise<Loaded | null> {
    const { authority, log } = this.#deps;
    const limit = deadline(
      fetchMs,
      () => new AppError('timeout', `the certificate authority took longer than ${fetchMs / 1000} s`),
    );
    try {
      if (isNew && (await this.#newOfWeek()) >= newPerWeekMax) {
        log.warn({ name, max: newPerWeekMax }, 'no certificate: too many new ones in the last seven days');
        return null;
      }
      const { certPem, keyPem } = await abortable(authority.fetch(name), limit.signal);
      const loaded = load(certPem, keyPem, `the certificate of ${name}`);
      await ensureDirectory(this.#deps.directory);
      await writeFileAtomic(this.#path(name), `${certPem}\n${keyPem}`);
      this.#loaded.set(name, loaded);
      log.info({ name, until: loaded.certificate.validTo }, 'certificate fetched');
      return loaded;
    } catch (error) {
      const retryMs = Math.min(2 * (before?.retryMs ?? firstRetryMs / 2), retryMsMax);
      this.#failures.set(name, { retryMs, atMs: this.#now() });
      log.warn({ name, reason: (error as Error).message, retrySeconds: retryMs / 1000 }, 'no certificate');
      return null;
    } finally {
      limit.clear();
    }
  }

  async #read(name: string): Promise<Loaded | null> {
    try {
      const pem = await readFile(this.#path(name), 'utf8');
      const loaded = load(pem, pem, `the certificate of ${name}`);
      this.#loaded.set(name, loaded);
      return loaded;
    } catch (error) {
      if (hasErrorCode(error, 'ENOENT')) return null;
      // A damaged file is as good as none: another one is fetched.
      if (!isAppError(error, 'invalid')) throw error;
      this.#deps.log.warn({ name, reason: error.message }, 'a kept certificate cannot be used');
      return null;
    }
  }

  /** Certificates written in the last seven days; renewals count as well. */
  async #newOfWeek(): Promise<number> {
    const { directory } = this.#deps;
    await ensureDirectory(directory);
    const names = (await readdir(directory)).filter((name) => name.endsWith('.pem'));
    const times = await Promise.all(names.map((name) => stat(join(directory, name))));
    return times.filter(({ mtimeMs }) => mtimeMs > this.#now() - weekMs).length;
  }

  #path(name: string): string {
    return join(this.#deps.directory, `${name}.pem`);
  }
}

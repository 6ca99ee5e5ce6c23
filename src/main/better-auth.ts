/**
 * Keys that a Better Auth server knows, as Hatch has them: a second key verifier beside our own keys. Asks the server
 * about each key, and trusts its yes for a few seconds. A key that cannot be checked is not accepted. Never logs keys.
 *
 * Request: `POST <url> {"key":K}`. Answer: `{"valid":true,"userId":U}`, or Better Auth's own
 * `{"valid":true,"key":{"userId":U,"expiresAt":T}}`; `{"valid":false}` for any other key.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../core/errors.ts';
import type { Caller, KeyVerifier } from '../core/keys/caller.ts';
import { expired } from '../core/keys/endings.ts';
import { isSecret } from '../core/keys/secret.ts';
import { Limiter, QueueFullError } from '../lib/limiter.ts';
import type { Logger } from '../lib/log.ts';
import { Lru } from '../lib/lru.ts';

/** Hatch's own deadline. */
const timeoutMsDefault = 5_000;
/** How long a key may still be used after the server has ended it. */
const freshMs = 10_000;
const rememberedMax = 1_000;
/** Questions asked at once, and those that wait: strangers with invented keys must not flood the server. */
const askedMax = 16;
const waitingMax = 256;
/** Better Auth's own keys have some 70 characters. */
const keyCharactersMax = 1_024;
const answerBytesMax = 64 * 1024;
/** While the server is away, one line in the log for each such time. */
const logEveryMs = 10_000;

const answerSchema = z.object({
  valid: z.boolean(),
  userId: z.string().min(1).max(1_024).nullish(),
  key: z
    .object({
      userId: z.string().min(1).max(1_024).nullish(),
      /** The name of `userId` in newer versions. */
      referenceId: z.string().min(1).max(1_024).nullish(),
      expiresAt: z.string().nullish(),
    })
    .nullish(),
  error: z.object({ code: z.string().nullish() }).nullish(),
});
type Answer = z.infer<typeof answerSchema>;

export interface BetterAuthOptions {
  readonly url: string;
  readonly log: Pick<Logger, 'warn'>;
  /** In ms, monotonic. */
  readonly now?: () => number;
  readonly timeoutMs?: number;
}

interface Remembered {
  readonly caller: Caller;
  readonly askedAtMs: number;
}

export class BetterAuthVerifier implements KeyVerifier {
  readonly #options: BetterAuthOptions;
  readonly #now: () => number;
  /** By digest, so that no key stays in memory. */
  readonly #remembered = new Lru<string, Remembered>(rememberedMax);
  readonly #asked = new Map<string, Promise<Caller>>();
  readonly #turns = new Limiter(askedMax, waitingMax);
  #loggedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: BetterAuthOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Raises `unauthenticated`, `rate_limited` as the server says, and `unavailable` when it cannot be asked. */
  async verify(key: string | null): Promise<Caller> {
    if (key === null) throw new AppError('unauthenticated', 'Authorization header is required');
    if (key.length > keyCharactersMax) throw invalidKey();
    const digest = sha256(key);
    const known = this.#remembered.get(digest);
    if (known && this.#now() - known.askedAtMs < freshMs) return unexpired(known.caller);
    // Requests with one key at the same time are one question.
    const asked = this.#asked.get(digest) ?? this.#ask(key, digest);
    this.#asked.set(digest, asked);
    try {
      return await asked;
    } finally {
      if (this.#asked.get(digest) === asked) this.#asked.delete(digest);
    }
  }

  async #ask(key: string, digest: string): Promise<Caller> {
    const askedAtMs = this.#now();
    try {
      const caller = callerOf(await this.#answer(key), digest);
      this.#remembered.set(digest, { caller, askedAtMs });
      return unexpired(caller);
    } catch (error) {
      this.#remembered.delete(digest);
      if (error instanceof AppError) throw error;
      this.#tell(error);
      throw new AppError('unavailable', 'The server that knows API keys cannot be asked', {
        cause: error,
        hint: 'Try again in a moment; the operator finds the reason in the log.',
      });
    }
  }

  /** Raises anything but AppError when there is no answer, or none that can be understood. */
  async #answer(key: string): Promise<Answer> {
    const signal = AbortSignal.timeout(this.#options.timeoutMs ?? timeoutMsDefault);
    const release = await this.#turns.acquire(signal).catch((error: unknown) => {
      if (!(error instanceof QueueFullError)) throw error;
      throw new AppError('unavailable', 'Too many API keys are being checked', {
        hint: 'Try again in a moment.',
      });
    });
    try {
      const response = await fetch(this.#options.url, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
        body: JSON.stringify({ key }),
        // Whoever could redirect the question would get the key.
        redirect: 'error',
        signal,
      });
      const text = await readLimited(response);
      const parsed = answerSchema.safeParse(parseJson(text));
      // A server may say no with any status of the client's fault; a yes has 200.
      const isNo = response.status === 401 || response.status === 403;
      const isUnderstood = parsed.success && (response.ok || (response.status < 500 && !parsed.data.valid));
      if (isUnderstood) return parsed.data;
      if (isNo) return { valid: false };
      throw new Error(`it answered ${response.status} with something else than {"valid":…}`);
    } finally {
      release();
    }
  }

  #tell(error: unknown): void {
    const now = this.#now();
    if (now - this.#loggedAtMs < logEveryMs) return;
    this.#loggedAtMs = now;
    // The address may hold a password.
    const { origin, pathname } = new URL(this.#options.url);
    this.#options.log.warn({ server: origin + pathname, err: error }, 'key server did not answer');
  }
}

/** Our own keys are verified here, all others by the Better Auth server. */
export function withBetterAuth(own: KeyVerifier, remote: KeyVerifier): KeyVerifier {
  return { verify: (key) => (key === null || isSecret(key) ? own : remote).verify(key) };
}

/**
 * The tenant of a user. Users' ids may have any characters, and no two users may share a tenant, nor one be that of
 * another tenant: so it is a digest.
 */
export function tenantOf(userId: string): string {
  return `user-${sha256(userId).slice(0, 40)}`;
}

function callerOf(answer: Answer, digest: string): Caller {
  if (!answer.valid) throw answer.error?.code === 'RATE_LIMITED' ? tooOften() : invalidKey();
  const userId = answer.userId ?? answer.key?.userId ?? answer.key?.referenceId;
  if (userId == null) throw new Error('it answered that a key is valid, but not whose it is');
  const tenant = tenantOf(userId);
  return {
    tenant,
    keyName: tenant,
    // Not an id in our database: nothing can be made with it that outlives it.
    keyId: `better-auth-${digest.slice(0, 16)}`,
    expiresAt: timeOf(answer.key?.expiresAt),
    scopes: ['machines:read', 'machines:write', 'machines:exec'],
    tier: null,
    isOperator: false,
  };
}

function timeOf(text: string | null | undefined): string | null {
  if (text == null) return null;
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw new Error('it answered with an expiry that is no time');
  return time.toISOString();
}

function unexpired(caller: Caller): Caller {
  if (caller.expiresAt !== null && Date.parse(caller.expiresAt) <= Date.now()) throw expired();
  return caller;
}

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Leaving the loop early closes the connection.
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw new Error(`its answer has more than ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function invalidKey(): AppError {
  return new AppError('unauthenticated', 'Invalid API key');
}

function tooOften(): AppError {
  return new AppError('rate_limited', 'The API key has been used too often', {
    hint: 'The server that issued it limits it; try again later.',
  });
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * The link to one incarnation: the only client of its carrier, because a virtio port serves one client at a
 * time.
 *
 *   dialling → preamble → up → (session over) → pause → dialling …   until `release`
 *
 * It redials until released, with or without calls, so that the guest can always announce a shutdown. A guest
 * that does not answer only delays its own callers. While its guest is paused (`setQuiet`), a session is kept
 * without signs of life, and none is started.
 */
import type { Duplex } from 'node:stream';
import { AppError } from '../core/errors.ts';
import type { GuestAnnouncement, GuestLinkState } from '../core/ports/guest.ts';
import { deadline, sleep } from '../lib/abort.ts';
import { invariant } from '../lib/invariant.ts';
import type { Logger } from '../lib/log.ts';
import { AgentSession } from './agent-session.ts';
import { serveGuestCall } from './announcements.ts';
import { abortError } from './calls.ts';
import { exchangePreamble } from './preamble.ts';
import type { GuestTimings } from './timings.ts';
import { LinkFloodError, YamuxSession } from './yamux/session.ts';

export interface LinkOptions {
  readonly dial: (signal: AbortSignal) => Promise<Duplex>;
  /** Tried in turn, one per dial, until one is accepted. */
  readonly tokens: readonly Uint8Array[];
  readonly timings: GuestTimings;
  /** Called periodically while a session is up and its guest should answer. Must not throw. */
  readonly onInterval: (agent: AgentSession) => void;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Named in the log. */
  readonly incarnation: string;
}

interface Waiter {
  readonly resolve: (session: AgentSession) => void;
  readonly reject: (reason: AppError) => void;
}

const released = () => new AppError('guest', 'the guest link was released');

export class IncarnationLink {
  readonly #options: LinkOptions;
  readonly #stop = new AbortController();
  readonly #waiters = new Set<Waiter>();
  readonly #loop: Promise<void>;
  #wake: () => void = () => undefined;
  #session: AgentSession | null = null;
  #lastFailure: string | null = null;
  #lostReason: string | null = null;
  #lostAtMs: number | null = null;
  #lostCount = 0;
  #attempts = 0;
  #preambles = 0;
  #tokenIndex = 0;
  #floods = 0;
  #isFlooded = false;
  #announcement: GuestAnnouncement | null = null;
  /** Resolved when the pause ends; null when the guest should answer. */
  #quiet: PromiseWithResolvers<void> | null = null;

  /** Starts dialling at once. */
  constructor(options: LinkOptions) {
    this.#options = options;
    this.#loop = this.#run();
  }

  /** The last announcement of this incarnation; kept after the link is lost. */
  get announcement(): GuestAnnouncement | null {
    return this.#announcement;
  }

  get state(): GuestLinkState {
    const isUp = this.#session?.isOpen === true;
    // While the link is up, a failed attempt before it says nothing any more.
    const reason = isUp ? this.#lostReason : this.#lastFailure;
    return { isUp, reason, lostAtMs: this.#lostAtMs, lostCount: this.#lostCount };
  }

  /** Why the last attempt or session ended; null if none has ended yet. */
  get lastFailure(): string | null {
    return this.#lastFailure;
  }

  /**
   * Resolves with the session once it is up; rejects with the signal's reason, or with `guest` when the link
   * is released.
   */
  async session(signal: AbortSignal): Promise<AgentSession> {
    if (signal.aborted) throw abortError(signal, 'the call');
    if (this.#stop.signal.aborted) throw released();
    if (this.#session?.isOpen) return this.#session;
    const { promise, resolve, reject } = Promise.withResolvers<AgentSession>();
    const waiter: Waiter = { resolve, reject };
    const onAbort = () => reject(abortError(signal, 'the call'));
    signal.addEventListener('abort', onAbort, { once: true });
    this.#waiters.add(waiter);
    this.#wake();
    try {
      return await promise;
    } finally {
      this.#waiters.delete(waiter);
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Marks the guest as paused, so that its silence is ignored. */
  setQuiet(isQuiet: boolean): void {
    if (isQuiet) this.#quiet ??= Promise.withResolvers();
    else {
      this.#quiet?.resolve();
      this.#quiet = null;
    }
    this.#session?.yamux.setQuiet(isQuiet);
  }

  /** Ends the link and waits until its carrier is closed; open calls fail. Idempotent. */
  async release(): Promise<void> {
    this.#stop.abort(released());
    this.#session?.yamux.close(released());
    this.#quiet?.resolve();
    this.#wake();
    for (const waiter of this.#waiters) waiter.reject(released());
    await this.#loop;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#connectOnce();
      if (!this.#stop.signal.aborted) await this.#pause();
      if (!this.#stop.signal.aborted) await this.#quiet?.promise;
    }
  }

  /** One connection from dial to end. Never rejects. */
  async #connectOnce(): Promise<void> {
    const { timings, log, incarnation } = this.#options;
    let carrier: Duplex | null = null;
    try {
      carrier = await this.#dial();
      const received = await this.#preamble(carrier);
      const upAt = performance.now();
      const reason = await this.#serve(carrier, received);
      if (performance.now() - upAt >= timings.sessionStableMs) this.#attempts = 0;
      this.#lastFailure = reason.message;
      this.#isFlooded = reason instanceof LinkFloodError;
      this.#lostReason = reason.message;
      this.#lostAtMs = this.#options.now();
      this.#lostCount += 1;
      if (!this.#stop.signal.aborted) log.info({ incarnation, reason: reason.message }, 'guest link lost');
    } catch (error) {
      this.#lastFailure = error instanceof Error ? error.message : String(error);
      log.debug({ incarnation, reason: this.#lastFailure }, 'guest link not up yet');
    } finally {
      if (carrier !== null) await destroyed(carrier);
    }
  }

  async #dial(): Promise<Duplex> {
    const { dialMs } = this.#options.timings;
    const late = () => new AppError('timeout', `nothing took the guest link within ${dialMs} ms`);
    const limit = deadline(dialMs, late, this.#stop.signal);
    try {
      return await this.#options.dial(limit.signal);
    } finally {
      limit.clear();
    }
  }

  async #preamble(carrier: Duplex): Promise<Buffer> {
    const { tokens, timings } = this.#options;
    const token = tokens[this.#tokenIndex];
    invariant(token !== undefined, 'a link has a token');
    const ms = Math.min(timings.preambleMaxMs, timings.preambleMs * 2 ** Math.min(this.#preambles, 20));
    const late = () => new AppError('timeout', `the guest did not answer the preamble within ${ms} ms`);
    const limit = deadline(ms, late, this.#stop.signal);
    try {
      this.#preambles += 1;
      const discardBytesMax = timings.preambleDiscardBytesMax;
      const received = await exchangePreamble(carrier, { token, discardBytesMax, signal: limit.signal });
      this.#preambles = 0;
      return received;
    } catch (error) {
      this.#tokenIndex = (this.#tokenIndex + 1) % tokens.length;
      throw error;
    } finally {
      limit.clear();
    }
  }

  async #serve(carrier: Duplex, received: Buffer): Promise<AppError> {
    const { timings, log, incarnation } = this.#options;
    const session = new YamuxSession(carrier, received, {
      ...timings,
      onStream: (stream) => {
        void serveGuestCall(stream, timings.callMs, (announcement) => {
          // A guest may announce endlessly; only changes are logged.
          if (this.#announcement !== announcement) log.info({ incarnation, announcement }, 'guest announced');
          this.#announcement = announcement;
        });
      },
    });
    session.setQuiet(this.#quiet !== null);
    if (session.isOpen) {
      log.debug({ incarnation }, 'guest link up');
      const agent = new AgentSession(session, this.#tokenIndex);
      this.#session = agent;
      for (const waiter of this.#waiters) waiter.resolve(agent);
    }
    const interval = setInterval(() => {
      if (this.#session !== null && this.#quiet === null) this.#options.onInterval(this.#session);
    }, timings.resyncIntervalMs);
    const reason = await session.closed;
    clearInterval(interval);
    this.#session = null;
    return reason;
  }

  /** Waits before the next attempt. A waiting caller shortens the wait, also one that arrives meanwhile. */
  async #pause(): Promise<void> {
    if (this.#isFlooded) return this.#pauseAfterFlood();
    const { backoffMs, backoffMaxMs, backoffWantedMaxMs } = this.#options.timings;
    const ms = Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(this.#attempts, 20));
    const wantedMs = Math.min(ms, backoffWantedMaxMs);
    this.#attempts += 1;
    const woken = new AbortController();
    try {
      await sleep(wantedMs, this.#stop.signal);
      if (this.#waiters.size > 0) return;
      this.#wake = () => woken.abort();
      await sleep(ms - wantedMs, woken.signal);
    } catch {
      // Wanted or released: the pause is over in either case.
    } finally {
      this.#wake = () => undefined;
    }
  }

  /** A flooding guest costs this process CPU time, so waiting callers do not shorten this pause. */
  async #pauseAfterFlood(): Promise<void> {
    const { floodPauseMs, floodPauseMaxMs } = this.#options.timings;
    const ms = Math.min(floodPauseMaxMs, floodPauseMs * 2 ** Math.min(this.#floods, 20));
    this.#floods += 1;
    this.#isFlooded = false;
    await sleep(ms, this.#stop.signal).catch(() => undefined);
  }
}

/** Destroys a carrier and waits until its descriptor is closed, so that the next dial is the only client. */
function destroyed(carrier: Duplex): Promise<void> {
  if (carrier.closed) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  carrier.once('close', () => resolve());
  carrier.destroy();
  return promise;
}

/** One incarnation of the fake engine, and the hands of whoever plays its guest. */
import type { EngineHandle, EngineStatus, ExitFacts, LaunchSpec } from '../../core/ports/engine.ts';

/** A real console's ring keeps half a MiB; a fake one needs less. */
const consoleBytesMax = 64 * 1024;

type State = 'running' | { readonly pausedFor: string } | { readonly exited: ExitFacts };

export class FakeMachine {
  readonly spec: LaunchSpec;
  readonly handle: EngineHandle;
  readonly #ended = new AbortController();
  readonly #listeners = new Set<(facts: ExitFacts) => void>();
  readonly #readers = new Set<() => void>();
  #state: State = 'running';
  #console = Buffer.alloc(0);
  /** Bytes ever printed. */
  #printed = 0;
  /** Who follows the console now. */
  followers = 0;

  constructor(spec: LaunchSpec, handle: EngineHandle) {
    this.spec = spec;
    this.handle = handle;
  }

  /** Aborts when the incarnation ends: a scripted guest stops serving then. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  get status(): EngineStatus {
    if (this.#state === 'running') return { state: 'running' };
    if ('exited' in this.#state) return { state: 'exited', facts: this.#state.exited };
    return { state: 'paused', reason: this.#state.pausedFor };
  }

  /** The last bytes of the console. */
  console(bytesMax: number): Uint8Array {
    return new Uint8Array(this.#console.subarray(Math.max(0, this.#console.length - bytesMax)));
  }

  /** The guest prints to its console. */
  print(text: string | Uint8Array): void {
    const bytes = Buffer.from(text);
    this.#console = Buffer.concat([this.#console, bytes]).subarray(-consoleBytesMax);
    this.#printed += bytes.length;
    for (const wake of this.#readers) wake();
  }

  /** See EngineConsole.follow; `closing` ends it as the incarnation's end does. */
  async *followConsole(
    bytesMax: number,
    closing: AbortSignal,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const stop = AbortSignal.any([this.ended, closing, signal]);
    let seen = this.#printed;
    this.followers += 1;
    try {
      yield this.console(bytesMax);
      for (;;) {
        signal.throwIfAborted();
        const isLast = stop.aborted;
        const unseen = Math.min(this.#printed - seen, this.#console.length);
        seen = this.#printed;
        if (unseen > 0) yield this.console(unseen);
        else if (isLast) return;
        else await this.#printedMore(stop);
      }
    } finally {
      this.followers -= 1;
    }
  }

  /** The guest powers off. */
  powerOff(): void {
    this.end({ kind: 'powered_off', exitCode: null, signal: null, reason: 'the guest powered off' });
  }

  /** The guest resets itself. */
  reset(): void {
    this.end({ kind: 'reset', exitCode: null, signal: null, reason: 'the guest reset itself' });
  }

  /** The VMM dies, as by `kill -9` unless told otherwise. */
  die(how: Partial<Omit<ExitFacts, 'kind'>> = {}): void {
    const reason = how.reason ?? 'the VMM was ended by SIGKILL';
    this.end({ exitCode: null, signal: 'SIGKILL', ...how, reason, kind: 'died' });
  }

  /** The VMM pauses by itself, such as for `disk_full`. */
  pause(reason: string): void {
    if (this.#state === 'running') this.#state = { pausedFor: reason };
  }

  resume(): void {
    if (this.#state !== 'running' && 'pausedFor' in this.#state) this.#state = 'running';
  }

  /** Ends the incarnation; the first end counts. */
  end(facts: ExitFacts): void {
    if (this.#state !== 'running' && 'exited' in this.#state) return;
    this.#state = { exited: facts };
    this.#ended.abort(facts);
    for (const listener of [...this.#listeners]) queueMicrotask(() => this.#tell(listener, facts));
  }

  onExit(listener: (facts: ExitFacts) => void): () => void {
    const entry = (facts: ExitFacts) => listener(facts);
    this.#listeners.add(entry);
    if (this.#state !== 'running' && 'exited' in this.#state) {
      const facts = this.#state.exited;
      queueMicrotask(() => this.#tell(entry, facts));
    }
    return () => void this.#listeners.delete(entry);
  }

  async #printedMore(stop: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    this.#readers.add(wake);
    stop.addEventListener('abort', wake, { once: true });
    await promise;
    this.#readers.delete(wake);
    stop.removeEventListener('abort', wake);
  }

  /** Each listener hears once, and not after it stopped watching. */
  #tell(listener: (facts: ExitFacts) => void, facts: ExitFacts): void {
    if (this.#listeners.delete(listener)) listener(facts);
  }
}

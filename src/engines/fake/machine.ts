/** One incarnation of the fake engine, with methods to play its guest. */
import type {
  ConsolePiece,
  EngineHandle,
  EngineStatus,
  ExitFacts,
  LaunchSpec,
  Seen,
} from '../../core/ports/engine.ts';

/** A real console keeps half a MiB; a fake one needs less. */
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
  /** With ends that count every byte ever printed. */
  readonly #seen: Seen[] = [];
  /** Number of bytes ever printed. */
  #printed = 0;
  /** Number of current followers of the console. */
  followers = 0;

  constructor(spec: LaunchSpec, handle: EngineHandle) {
    this.spec = spec;
    this.handle = handle;
  }

  /** Aborts when the incarnation ends; a scripted guest then stops serving. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  get status(): EngineStatus {
    if (this.#state === 'running') return { state: 'running' };
    if ('exited' in this.#state) return { state: 'exited', facts: this.#state.exited };
    return { state: 'paused', reason: this.#state.pausedFor };
  }

  /** The last bytes of the console; each print was seen at its time. */
  console(bytesMax: number): ConsolePiece {
    const { length } = this.#console;
    const from = Math.max(0, length - bytesMax);
    const gone = this.#printed - length + from;
    const seen = this.#seen.map((each) => ({ ...each, end: each.end - gone })).filter(({ end }) => end > 0);
    return { bytes: new Uint8Array(this.#console.subarray(from)), seen };
  }

  /** Prints to the console, as the guest. */
  print(
    text: string | Uint8Array,
    { atMs = Date.now(), sinceMs = atMs }: Partial<Omit<Seen, 'end'>> = {},
  ): void {
    const bytes = Buffer.from(text);
    if (bytes.length > 0) this.#seen.push({ end: this.#printed + bytes.length, sinceMs, atMs });
    this.#console = Buffer.concat([this.#console, bytes]).subarray(-consoleBytesMax);
    this.#printed += bytes.length;
    while ((this.#seen[0]?.end ?? this.#printed) < this.#printed - this.#console.length) this.#seen.shift();
    for (const wake of this.#readers) wake();
  }

  /** See EngineConsole.follow; `closing` ends it like the incarnation's end. */
  async *followConsole(
    bytesMax: number,
    closing: AbortSignal,
    signal: AbortSignal,
  ): AsyncGenerator<ConsolePiece> {
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

  /** Powers off, as the guest. */
  powerOff(): void {
    this.end({ kind: 'powered_off', exitCode: null, signal: null, reason: 'the guest powered off' });
  }

  /** Resets, as the guest. */
  reset(): void {
    this.end({ kind: 'reset', exitCode: null, signal: null, reason: 'the guest reset itself' });
  }

  /** Lets the VMM die; default: as by `kill -9`. */
  die(how: Partial<Omit<ExitFacts, 'kind'>> = {}): void {
    const reason = how.reason ?? 'the VMM was ended by SIGKILL';
    this.end({ exitCode: null, signal: 'SIGKILL', ...how, reason, kind: 'died' });
  }

  /** Lets the VMM pause by itself, for example for `disk_full`. */
  pause(reason: string): void {
    if (this.#state === 'running') this.#state = { pausedFor: reason };
  }

  resume(): void {
    if (this.#state !== 'running' && 'pausedFor' in this.#state) this.#state = 'running';
  }

  /** Ends the incarnation; only the first call counts. */
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

  /** Notifies each listener once, unless it has stopped watching. */
  #tell(listener: (facts: ExitFacts) => void, facts: ExitFacts): void {
    if (this.#listeners.delete(listener)) listener(facts);
  }
}

/**
 * Notifies listeners in this process of changes. It follows the store's event table, so it also sees changes
 * made by the reconciler and by other daemons on the same database. `wait` listens here instead of polling.
 */
import { sleep } from '../../lib/abort.ts';
import type { Logger } from '../../lib/log.ts';
import type { Store } from '../ports/store.ts';
import type { Event, EventPosition } from './event.ts';

export type EventListener = (event: Event) => void;

/** Null: something may have been committed that cannot be read yet; the listener has to check for itself. */
export type SubjectListener = (event: Event | null) => void;

export interface EventBusDeps {
  readonly store: Pick<Store, 'events' | 'onEvents'>;
  readonly log: Logger;
}

/** Delay after a failed read. */
const retryMs = 1_000;
/** Events per read. */
const pageSize = 500;

export class EventBus {
  readonly #deps: EventBusDeps;
  readonly #listeners = new Map<string, Set<SubjectListener>>();
  readonly #forAll = new Set<EventListener>();
  readonly #stopListening: () => void;
  #position: EventPosition;
  #reading: Promise<void> = Promise.resolve();
  #isQueued = false;
  readonly #closing = new AbortController();

  private constructor(deps: EventBusDeps, position: EventPosition) {
    this.#deps = deps;
    this.#position = position;
    this.#stopListening = deps.store.onEvents(() => this.#queue());
  }

  /** Opens a bus that delivers every event committed from now on. */
  static async open(deps: EventBusDeps): Promise<EventBus> {
    return new EventBus(deps, await deps.store.events.latest());
  }

  /**
   * Calls the listener for each event about the subject with this id. Calls it with null when the store
   * signals a commit but no event can be read: on PostgreSQL any open transaction may hold events back.
   * Returns a function that ends the subscription.
   */
  subscribe(subjectId: string, listener: SubjectListener): () => void {
    const listeners = this.#listeners.get(subjectId) ?? new Set();
    this.#listeners.set(subjectId, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(subjectId);
    };
  }

  /** Calls the listener for each event. Returns a function that ends the subscription. */
  subscribeAll(listener: EventListener): () => void {
    this.#forAll.add(listener);
    return () => this.#forAll.delete(listener);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#stopListening();
    await this.#reading;
  }

  /** One read at a time; commits during a read are delivered by the next one. */
  #queue(): void {
    if (this.#isQueued || this.#closing.signal.aborted) return;
    this.#isQueued = true;
    this.#reading = this.#reading.then(() => {
      this.#isQueued = false;
      return this.#read();
    });
  }

  async #read(): Promise<void> {
    const { store, log } = this.#deps;
    try {
      for (let told = 0; !this.#closing.signal.aborted; ) {
        const { events, position } = await store.events.after(this.#position, pageSize);
        this.#position = position;
        for (const event of events) this.#tell(event);
        told += events.length;
        if (told === 0) this.#wakeAll();
        if (events.length < pageSize) return;
      }
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      log.warn({ err: error }, 'events not read');
      // Retries from the same position; closing ends the wait.
      void sleep(retryMs, this.#closing.signal).then(
        () => this.#queue(),
        () => undefined,
      );
    }
  }

  #tell(event: Event): void {
    const listeners = [...(this.#listeners.get(event.subject.id) ?? []), ...this.#forAll];
    for (const listener of listeners) this.#call(() => listener(event));
  }

  #wakeAll(): void {
    for (const listeners of [...this.#listeners.values()]) {
      for (const listener of [...listeners]) this.#call(() => listener(null));
    }
  }

  #call(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#deps.log.error({ err: error }, 'event listener threw');
    }
  }
}

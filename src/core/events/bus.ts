/**
 * Tells listeners in this process what has changed. It follows the store's events, so it also hears of changes that the
 * reconciler and other daemons on the same database make. `wait` listens here and polls nothing.
 */
import type { Logger } from '../../lib/log.ts';
import type { Store } from '../ports/store.ts';
import type { Event, EventPosition } from './event.ts';

export type EventListener = (event: Event) => void;

export interface EventBusDeps {
  readonly store: Pick<Store, 'events' | 'onEvents'>;
  readonly log: Logger;
}

/** Events read at once. */
const pageSize = 500;

export class EventBus {
  readonly #deps: EventBusDeps;
  readonly #listeners = new Map<string, Set<EventListener>>();
  readonly #forAll = new Set<EventListener>();
  readonly #stopListening: () => void;
  #position: EventPosition;
  #reading: Promise<void> = Promise.resolve();
  #isQueued = false;
  #isClosed = false;

  private constructor(deps: EventBusDeps, position: EventPosition) {
    this.#deps = deps;
    this.#position = position;
    this.#stopListening = deps.store.onEvents(() => this.#queue());
  }

  /** A bus that tells of everything committed from now on. */
  static async open(deps: EventBusDeps): Promise<EventBus> {
    return new EventBus(deps, await deps.store.events.latest());
  }

  /** Calls the listener for each event about the subject with this id. Returns the function that ends the subscription. */
  subscribe(subjectId: string, listener: EventListener): () => void {
    const listeners = this.#listeners.get(subjectId) ?? new Set();
    this.#listeners.set(subjectId, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(subjectId);
    };
  }

  /** Calls the listener for each event. Returns the function that ends the subscription. */
  subscribeAll(listener: EventListener): () => void {
    this.#forAll.add(listener);
    return () => this.#forAll.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopListening();
    await this.#reading;
  }

  /** One reading at a time; what is committed during one is read by the next. */
  #queue(): void {
    if (this.#isQueued || this.#isClosed) return;
    this.#isQueued = true;
    this.#reading = this.#reading.then(() => {
      this.#isQueued = false;
      return this.#read();
    });
  }

  async #read(): Promise<void> {
    const { store, log } = this.#deps;
    try {
      while (!this.#isClosed) {
        const page = await store.events.after(this.#position, pageSize);
        this.#position = page.position;
        for (const event of page.events) this.#tell(event);
        if (page.events.length < pageSize) return;
      }
    } catch (error) {
      // The next change, or the store's own timer, makes it read again from the same position.
      if (!this.#isClosed) log.warn({ err: error }, 'events could not be read');
    }
  }

  #tell(event: Event): void {
    for (const listener of [...(this.#listeners.get(event.subject.id) ?? []), ...this.#forAll]) {
      try {
        listener(event);
      } catch (error) {
        this.#deps.log.error({ subject: event.subject, err: error }, 'event listener threw');
      }
    }
  }
}

import type { GuestHello } from '../core/ports/guest.ts';
import { type CallOptions, callHello } from './calls.ts';
import type { YamuxSession } from './yamux/session.ts';

/** A session with an agent, and what the agent has said of itself on it: calls differ by what it speaks. */
export class AgentSession {
  readonly yamux: YamuxSession;
  /** Which of the link's tokens was answered. */
  readonly tokenIndex: number;
  #hello: GuestHello | null = null;

  constructor(yamux: YamuxSession, tokenIndex: number) {
    this.yamux = yamux;
    this.tokenIndex = tokenIndex;
  }

  get isOpen(): boolean {
    return this.yamux.isOpen;
  }

  /** Asks the agent. Raises what `callHello` does. */
  async greet(options: CallOptions): Promise<GuestHello> {
    this.#hello = await callHello(this.yamux, options);
    return this.#hello;
  }

  /** What the agent said last; asks it the first time. */
  async hello(options: CallOptions): Promise<GuestHello> {
    return this.#hello ?? (await this.greet(options));
  }
}

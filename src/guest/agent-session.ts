/** One connected session with a guest agent, and what the agent supports. */
import type { GuestHello } from '../core/ports/guest.ts';
import { type CallOptions, callHello } from './calls.ts';
import type { YamuxSession } from './yamux/session.ts';

/**
 * A session with an agent, together with the agent's hello, because calls depend on the protocol version that
 * it supports.
 */
export class AgentSession {
  readonly yamux: YamuxSession;
  /** Index of the link's token that the guest accepted. */
  readonly tokenIndex: number;
  #hello: GuestHello | null = null;

  constructor(yamux: YamuxSession, tokenIndex: number) {
    this.yamux = yamux;
    this.tokenIndex = tokenIndex;
  }

  get isOpen(): boolean {
    return this.yamux.isOpen;
  }

  /** Sends hello to the agent. Raises the errors of `callHello`. */
  async greet(options: CallOptions): Promise<GuestHello> {
    this.#hello = await callHello(this.yamux, options);
    return this.#hello;
  }

  /** The agent's latest hello; sends one if there is none yet. */
  async hello(options: CallOptions): Promise<GuestHello> {
    return this.#hello ?? (await this.greet(options));
  }
}

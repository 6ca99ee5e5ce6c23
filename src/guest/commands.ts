/** Implements `GuestCommands` on the links of `GuestClient`. */
import { AppError } from '../core/errors.ts';
import type { ExecOutcome, GuestTarget } from '../core/ports/guest.ts';
import type {
  CommandInfo,
  CommandOutput,
  CommandRequest,
  GuestCommands,
  TerminalSize,
} from '../core/ports/guest-commands.ts';
import type { AgentSession } from './agent-session.ts';
import type { CallOptions } from './calls.ts';
import {
  callFeed,
  callForget,
  callList,
  callResize,
  callSignal,
  callStart,
  callWait,
} from './command-calls.ts';
import { attachCommand } from './command-output.ts';
import type { YamuxSession } from './yamux/session.ts';

/** Features of the agent, and what the agent lacks without them. */
const features = {
  commands: 'commands',
  command_wait: 'way to wait for commands',
  terminal: 'terminal',
} as const;

export interface CommandClientOptions {
  /** The session of a link that is up, or comes up in time. */
  readonly session: (target: GuestTarget, signal: AbortSignal) => Promise<AgentSession>;
  readonly callMs: number;
}

export class CommandClient implements GuestCommands {
  readonly #options: CommandClientOptions;

  constructor(options: CommandClientOptions) {
    this.#options = options;
  }

  async start(
    target: GuestTarget,
    request: CommandRequest,
    signal: AbortSignal,
  ): Promise<{ readonly pid: number }> {
    const feature = request.terminal === undefined ? 'commands' : 'terminal';
    return await callStart(await this.#session(target, signal, feature), request, this.#call(signal));
  }

  async attach(target: GuestTarget, id: string, offset: number, signal: AbortSignal): Promise<CommandOutput> {
    return await attachCommand(await this.#session(target, signal), id, offset, this.#call(signal));
  }

  async wait(target: GuestTarget, id: string, signal: AbortSignal): Promise<ExecOutcome> {
    return await callWait(await this.#session(target, signal, 'command_wait'), id, this.#call(signal));
  }

  async feed(
    target: GuestTarget,
    id: string,
    data: Uint8Array,
    isEnd: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    await callFeed(await this.#session(target, signal), id, data, isEnd, this.#call(signal));
  }

  async signal(target: GuestTarget, id: string, name: string, signal: AbortSignal): Promise<void> {
    await callSignal(await this.#session(target, signal), id, name, this.#call(signal));
  }

  async resize(target: GuestTarget, id: string, size: TerminalSize, signal: AbortSignal): Promise<void> {
    await callResize(await this.#session(target, signal, 'terminal'), id, size, this.#call(signal));
  }

  async list(target: GuestTarget, signal: AbortSignal): Promise<readonly CommandInfo[]> {
    return await callList(await this.#session(target, signal), this.#call(signal));
  }

  async forget(target: GuestTarget, id: string, signal: AbortSignal): Promise<void> {
    await callForget(await this.#session(target, signal), id, this.#call(signal));
  }

  #call(signal: AbortSignal): CallOptions {
    return { signal, callMs: this.#options.callMs };
  }

  /** Raises `unsupported` when the agent lacks the feature. */
  async #session(
    target: GuestTarget,
    signal: AbortSignal,
    feature: keyof typeof features = 'commands',
  ): Promise<YamuxSession> {
    const session = await this.#options.session(target, signal);
    const { features: known, agentVersion } = await session.hello(this.#call(signal));
    if (known.includes(feature)) return session.yamux;
    throw new AppError('unsupported', `the guest agent (${agentVersion}) has no ${features[feature]}`, {
      hint: 'Restart the machine to give it the current agent.',
    });
  }
}

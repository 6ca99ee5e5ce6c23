/**
 * The sessions of MCP clients. A session belongs to the key that opened it and ends with it, after a time
 * without requests, at its greatest age, or to make room for another of its tenant. There are no timers: old
 * sessions end when the next request looks.
 */
import { randomUUID } from 'node:crypto';
import { WebStandardStreamableHTTPServerTransport as Transport } from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { AppError } from '../../core/errors.ts';
import type { Caller } from '../../core/keys/caller.ts';
import type { Tool } from '../agentic/tool.ts';
import type { HttpDeps } from '../context.ts';
import { holderOf } from '../holdings.ts';
import { authInfoOf, makeMcpServer } from './server.ts';

export interface McpSessionLimits {
  readonly perHolder: number;
  readonly total: number;
  readonly idleMs: number;
  readonly ageMs: number;
}

/** A session without calls takes about 100 KiB. */
export const mcpSessionLimits: McpSessionLimits = {
  perHolder: 32,
  total: 512,
  idleMs: 30 * 60_000,
  ageMs: 24 * 60 * 60_000,
};

interface McpSession {
  readonly id: string;
  readonly caller: Caller;
  readonly transport: Transport;
  readonly openedMs: number;
  lastUsedMs: number;
  /** Requests whose answer has not ended. */
  requests: number;
}

export class McpSessions {
  readonly #deps: HttpDeps;
  readonly #tools: readonly Tool[];
  readonly #limits: McpSessionLimits;
  readonly #nowMs: () => number;
  /** In the order of their last use. */
  readonly #sessions = new Map<string, McpSession>();

  constructor(
    deps: HttpDeps,
    tools: readonly Tool[],
    limits: McpSessionLimits = mcpSessionLimits,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#deps = deps;
    this.#tools = tools;
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** Raises `exhausted` when all sessions of the caller, or of everybody, are in use. */
  async open(caller: Caller): Promise<McpSession> {
    await this.#endOld();
    await this.#makeRoom(caller);
    const id = randomUUID();
    const transport = new Transport({ sessionIdGenerator: () => id });
    const server = makeMcpServer(this.#deps, caller, this.#tools);
    const unwatch = this.#deps.apiKeys.watchEnd(caller, () => void transport.close());
    server.onclose = () => {
      unwatch();
      this.#sessions.delete(id);
    };
    const nowMs = this.#nowMs();
    const session = { id, caller, transport, openedMs: nowMs, lastUsedMs: nowMs, requests: 0 };
    this.#sessions.set(id, session);
    await server.connect(transport);
    return session;
  }

  /** Another key's session does not exist for the caller. Raises `not_found`. */
  async find(caller: Caller, id: string): Promise<McpSession> {
    await this.#endOld();
    const session = this.#sessions.get(id);
    if (session === undefined || !isSameKey(session.caller, caller)) {
      throw new AppError('not_found', 'There is no such MCP session, or it has ended', {
        hint: 'Initialize a new one.',
      });
    }
    return session;
  }

  /**
   * Counts as use until the answer has been sent, or its reader has gone. `reserve` charges the caller for the
   * memory of a call's output.
   */
  async handle(
    session: McpSession,
    request: Request,
    parsedBody: unknown,
    reserve: (bytes: number) => void,
  ): Promise<Response> {
    session.requests += 1;
    this.#touch(session);
    const ended = () => {
      session.requests -= 1;
      this.#touch(session);
    };
    try {
      const response = await session.transport.handleRequest(request, {
        ...{ parsedBody, authInfo: authInfoOf(reserve) },
      });
      if (response.body === null) {
        ended();
        return response;
      }
      return new Response(untilEnd(response.body, ended), {
        status: response.status,
        headers: response.headers,
      });
    } catch (error) {
      ended();
      throw error;
    }
  }

  /** A session whose first request was refused is none. */
  async abandon({ transport }: McpSession): Promise<void> {
    await transport.close();
  }

  #touch(session: McpSession): void {
    session.lastUsedMs = this.#nowMs();
    if (this.#sessions.delete(session.id)) this.#sessions.set(session.id, session);
  }

  async #endOld(): Promise<void> {
    const nowMs = this.#nowMs();
    for (const { transport, requests, openedMs, lastUsedMs } of [...this.#sessions.values()]) {
      const isIdle = requests === 0 && nowMs - lastUsedMs > this.#limits.idleMs;
      if (isIdle || nowMs - openedMs > this.#limits.ageMs) await transport.close();
    }
  }

  /** Clients often leave without a word, so the one that was idle for longest gives way. */
  async #makeRoom(caller: Caller): Promise<void> {
    const holder = holderOf(caller);
    const own = [...this.#sessions.values()].filter((each) => holderOf(each.caller) === holder);
    if (own.length < this.#limits.perHolder && this.#sessions.size < this.#limits.total) return;
    const idle = own.find(({ requests }) => requests === 0);
    if (idle === undefined) {
      throw new AppError('exhausted', 'All the MCP sessions there is room for are in use', {
        hint: 'End one of them (DELETE with its Mcp-Session-Id), or try again later.',
      });
    }
    await idle.transport.close();
  }
}

function isSameKey(one: Caller, other: Caller): boolean {
  return one.tenant === other.tenant && one.keyId === other.keyId && one.isOperator === other.isOperator;
}

/** The same stream; calls `ended` once, when it has ended, failed, or its reader has gone. */
function untilEnd(body: ReadableStream<Uint8Array>, ended: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        ended();
        controller.close();
      } catch (error) {
        ended();
        controller.error(error);
      }
    },
    async cancel(reason) {
      ended();
      await reader.cancel(reason);
    },
  });
}

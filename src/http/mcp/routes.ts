/**
 * `/mcp`: the Model Context Protocol over streamable HTTP, for AI agents. The gate admits its requests like all
 * others; the official SDK reads and writes the messages.
 */
import { createRoute, type OpenAPIHono, type RouteConfig } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { AppError } from '../../core/errors.ts';
import { gate, smallBodyBytesMax } from '../access.ts';
import { tools } from '../agentic/tools.ts';
import type { HttpDeps, HttpEnv } from '../context.ts';
import { nounApp } from '../documented.ts';
import { BadRequest, MethodNotAllowed } from '../errors.ts';
import { isOwnOrigin } from '../origin.ts';
import type { McpSessions } from './sessions.ts';

const methods = ['get', 'post', 'delete'] as const;
/** Messages with a command's standard input are the largest. */
const bodyBytesMax = 8 * smallBodyBytesMax;

/** Not in the OpenAPI document: its messages are JSON-RPC, and its document is the protocol's. */
const route = (method: (typeof methods)[number]) =>
  createRoute({
    method,
    path: '/mcp',
    hide: true,
    middleware: gate({
      ...{ auth: 'key', scope: null, query: 'none', answer: 'stream' },
      body: method === 'post' ? { kind: 'json', bytesMax: bodyBytesMax } : { kind: 'none' },
    }),
    responses: { 200: { description: 'Messages.' } },
  });

const routes = methods.map(route);
export const mcpRoutes: readonly RouteConfig[] = routes;

export function mcpApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  let sessions: Promise<McpSessions> | null = null;
  // Loaded when the first client comes: most daemons have none, and the SDK takes memory and time.
  const load = () => {
    sessions ??= import('./sessions.ts').then((module) => new module.McpSessions(deps, tools));
    return sessions;
  };
  for (const each of routes) {
    app.openapi(each, async (c) => (await answer(c, deps, await load())) as never);
  }
  return app;
}

async function answer(c: Context<HttpEnv>, deps: HttpDeps, sessions: McpSessions): Promise<Response> {
  checkOrigin(c, deps);
  if (c.env.isHead) throw new MethodNotAllowed('HEAD', '/mcp', ['DELETE', 'GET', 'POST']);
  const caller = c.get('caller');
  const message = c.req.method === 'POST' ? await messageOf(c) : undefined;
  const id = c.req.header('mcp-session-id');
  if (id === undefined && !isInitialize(message)) {
    throw new BadRequest(
      'The header Mcp-Session-Id is required, except with an initialize request',
      'Send initialize first, then the Mcp-Session-Id of its answer with every request.',
    );
  }
  const session = id === undefined ? await sessions.open(caller) : await sessions.find(caller, id);
  // The stream ends with the caller's key.
  const connection = c.get('session');
  connection.cutOnAbort();
  const reserve = (bytes: number) => connection.reserve(bytes);
  const response = await sessions.handle(session, c.req.raw, message, reserve);
  if (id === undefined && !response.ok) await sessions.abandon(session);
  return response;
}

async function messageOf(c: Context<HttpEnv>): Promise<unknown> {
  try {
    return await c.req.json();
  } catch (error) {
    throw error instanceof SyntaxError
      ? new BadRequest('The body is not JSON', 'Send one JSON-RPC message.')
      : error;
  }
}

function isInitialize(message: unknown): boolean {
  return (
    typeof message === 'object' && message !== null && 'method' in message && message.method === 'initialize'
  );
}

/** A page that another host's name leads here must not speak to the daemon (DNS rebinding). */
function checkOrigin(c: Context<HttpEnv>, { corsOrigins }: HttpDeps): void {
  const { origin, host = '' } = c.env.incoming.headers;
  if (origin === undefined || isOwnOrigin(origin, host) || corsOrigins.has(origin)) return;
  throw new AppError('forbidden', 'Pages of this origin may not use MCP here', {
    hint: 'Start the daemon with FLOTILLA_CORS_ORIGINS set to the origin.',
  });
}

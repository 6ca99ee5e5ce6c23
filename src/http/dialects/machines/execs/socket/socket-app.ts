/** `GET /machines/{id}/exec/ws`: from a request that has passed the gate to a WebSocket with a command. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { needs } from '../../../../access.ts';
import type { HttpDeps, HttpEnv } from '../../../../context.ts';
import { checkWebSocketRequest, openWebSocket, taken } from '../../../../websocket.ts';
import { renderError } from '../../errors.ts';
import { ExecSocket, socketTimingsDefault } from './exec-socket.ts';
import { execProtocol } from './messages.ts';

export function addExecSocket(app: OpenAPIHono<HttpEnv>, deps: HttpDeps): void {
  const { commands, corsOrigins, log, socketTimings = socketTimingsDefault } = deps;
  // Not in the OpenAPI document, which cannot describe a WebSocket.
  const { middleware } = needs('machines:exec', { answer: 'stream' });
  app.get('/:id/exec/ws', middleware, async (c) => {
    const [session, requestId] = [c.get('session'), c.get('requestId')];
    const of = { tenant: c.get('caller').tenant, machine: c.req.param('id') };
    // First, so that a plain request learns what is wrong with the machine: pages cannot see why a WebSocket is refused.
    await commands.check(of);
    const upgrade = checkWebSocketRequest(c, execProtocol, corsOrigins);
    // Before the handshake, because a key that has ended meanwhile is an HTTP answer, too.
    session.signal.throwIfAborted();
    const socket = openWebSocket(upgrade);
    if (socket === null) return taken;
    const render = (error: Parameters<typeof renderError>[0]) => renderError(error, requestId);
    const opened = new ExecSocket({
      ...{ socket, commands, of, session, log, requestId, render, timings: socketTimings },
    });
    upgrade.take(() => opened.drain());
    return taken;
  });
}

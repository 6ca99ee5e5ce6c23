/** `GET /machines/{id}/ports/{port}/ws`: from a request that has passed the gate to a connection with a program in a machine. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { AppError } from '../../../../core/errors.ts';
import { needs } from '../../../access.ts';
import type { HttpDeps, HttpEnv } from '../../../context.ts';
import { nounApp } from '../../../documented.ts';
import { checkWebSocketRequest, openWebSocket, taken } from '../../../websocket.ts';
import { renderError } from '../errors.ts';
import { socketTimingsDefault } from '../execs/socket/exec-socket.ts';
import { PortSocket, portProtocol } from './port-socket.ts';

export function portsApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const { connections, corsOrigins, log, socketTimings = socketTimingsDefault } = deps;
  const app = nounApp();
  // Not in the OpenAPI document, which cannot describe a WebSocket.
  const { middleware } = needs('machines:exec', { answer: 'stream' });
  app.get('/:id/ports/:port/ws', middleware, async (c) => {
    const [session, requestId] = [c.get('session'), c.get('requestId')];
    const port = portOf(c.req.param('port'));
    const upgrade = checkWebSocketRequest(c, portProtocol, corsOrigins);
    const of = { tenant: c.get('caller').tenant, machine: c.req.param('id'), port };
    // Before the handshake: that nothing listens is an ordinary answer.
    const connection = await connections.connect(of, session.signal);
    connection.on('error', () => undefined);
    const socket = session.signal.aborted ? null : openWebSocket(upgrade);
    if (socket === null) {
      connection.destroy();
      session.signal.throwIfAborted();
      return taken;
    }
    const render = (error: AppError) => renderError(error, requestId);
    const opened = new PortSocket({
      ...{ socket, connection, session, log, requestId, render, timings: socketTimings },
    });
    upgrade.take(() => opened.drain());
    return taken;
  });
  return app;
}

function portOf(text: string): number {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new AppError('invalid', 'port must be between 1 and 65535');
  return port;
}

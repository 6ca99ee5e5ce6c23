/** The handlers of `/machines/{id}/exec` and `/machines/{id}/execs`: a few lines each between HTTP and core. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { CommandsOf } from '../../../../core/commands/command.ts';
import { hasBody } from '../../../body.ts';
import type { HttpDeps, HttpEnv } from '../../../context.ts';
import { nounApp } from '../../../documented.ts';
import { Gathered } from '../../../gathered.ts';
import { liveHeaders, streamWanted, toStream } from '../../../streaming.ts';
import { uploadedChunks, uploadLimitsDefault } from '../../../uploaded-chunks.ts';
import { gather, largeAnswer, smallAnswer } from './buffered.ts';
import { routes } from './definitions.ts';
import { toBytes, toEvents } from './events.ts';
import type { ExecBody } from './schema.ts';
import { addExecSocket } from './socket/socket-app.ts';
import { formOf, toCommandBody, toExecRequest, toStartCommand, toStartedEvent } from './translate.ts';

/** Input may take as long as the command takes to read it. */
const uploadLimits = { ...uploadLimitsDefault, graceMs: Number.MAX_SAFE_INTEGER };

export function execsApp(deps: HttpDeps): OpenAPIHono<HttpEnv> {
  const { machines, commands } = deps;
  const app = nounApp();
  addExecSocket(app, deps);
  const ofMachine = (c: Context<HttpEnv>, { id }: { readonly id: string }): CommandsOf => ({
    tenant: c.get('caller').tenant,
    machine: id,
  });
  const signalOf = (c: Context<HttpEnv>) => c.get('session').signal;

  const buffered = async (c: Context<HttpEnv>, of: CommandsOf, body: ExecBody) => {
    const request = toExecRequest(body);
    const session = c.get('session');
    const gathered = () => new Gathered((bytes) => session.reserve(bytes));
    const streams = { stdout: gathered(), stderr: gathered(), encoding: body.encoding ?? 'utf8' };
    const running = await machines.exec(of.tenant, of.machine, request, session.signal);
    const end = await gather(running, streams, request.timeoutMs);
    const large = largeAnswer(end, streams);
    if (large === null) return c.json(smallAnswer(end, streams), 200);
    session.cutOnAbort();
    // The types only support answers of one JSON value.
    return c.body(large, 200, { 'Content-Type': 'application/json' }) as never;
  };

  app.openapi(routes.exec, async (c) => {
    const of = ofMachine(c, c.req.valid('param'));
    const body = c.req.valid('json');
    const wanted = streamWanted(c.req.header('accept'));
    const form = formOf(body, wanted !== null);
    if (form === 'detached') {
      const { id, machineId, pid } = await commands.start(of, toStartCommand(body, form), signalOf(c));
      const location = `/machines/${machineId}/execs/${id}`;
      return c.json({ id, machine_id: machineId, pid }, 201, { Location: location });
    }
    if (form === 'buffered' || wanted === null) return buffered(c, of, body);
    const session = c.get('session');
    const running = await commands.run(of, toStartCommand(body, form), session.signal);
    const events = toEvents(wanted, running.events, toStartedEvent(running));
    const headers = { 'Content-Type': wanted, ...liveHeaders };
    return c.body(toStream(events, session.cutOnAbort()), 200, headers) as never;
  });
  app.openapi(routes.list, async (c) => {
    const found = await commands.list(ofMachine(c, c.req.valid('param')), signalOf(c));
    return c.json({ execs: found.map(toCommandBody) }, 200);
  });
  app.openapi(routes.get, async (c) => {
    const { eid } = c.req.valid('param');
    const found = await commands.get(ofMachine(c, c.req.valid('param')), eid, signalOf(c));
    return c.json(toCommandBody(found), 200);
  });
  app.openapi(routes.output, async (c) => {
    const { eid } = c.req.valid('param');
    const { from = lastEventId(c.req.header('last-event-id')), stream, follow } = c.req.valid('query');
    const session = c.get('session');
    const request = { from, isFollowed: follow, ...(stream === undefined ? {} : { stream }) };
    const of = ofMachine(c, c.req.valid('param'));
    const { command, events, until } = await commands.output(of, eid, request, session.signal);
    const wanted = streamWanted(c.req.header('accept'));
    const headers = {
      'Content-Type': wanted ?? 'application/octet-stream',
      // No browser may interpret a guest's output.
      'X-Content-Type-Options': 'nosniff',
      'X-Exec-State': command.outcome === null ? 'running' : 'ended',
      ...(follow || until === null ? {} : { 'X-Output-Next': String(until) }),
      ...liveHeaders,
    };
    if (c.env.isHead) {
      await events[Symbol.asyncIterator]().return?.();
      return c.body(null, 200, headers) as never;
    }
    const content = wanted === null ? toBytes(events) : toEvents(wanted, events);
    return c.body(toStream(content, session.cutOnAbort()), 200, headers) as never;
  });
  app.openapi(routes.wait, async (c) => {
    const { eid } = c.req.valid('param');
    const timeoutMs = c.req.valid('query').timeout * 1000;
    const ended = await commands.wait(ofMachine(c, c.req.valid('param')), eid, timeoutMs, signalOf(c));
    return c.json(toCommandBody(ended), 200);
  });
  app.openapi(routes.signal, async (c) => {
    const { eid } = c.req.valid('param');
    const name = c.req.valid('json').signal.replace(/^SIG/, '');
    await commands.signal(ofMachine(c, c.req.valid('param')), eid, name, signalOf(c));
    return c.body(null, 204);
  });
  app.openapi(routes.stdin, async (c) => {
    const { eid } = c.req.valid('param');
    const { incoming, outgoing } = c.env;
    const data = hasBody(incoming) ? uploadedChunks(incoming, outgoing, uploadLimits) : none();
    const { end } = c.req.valid('query');
    await commands.feed(ofMachine(c, c.req.valid('param')), eid, data, end, signalOf(c));
    return c.body(null, 204);
  });
  app.openapi(routes.resize, async (c) => {
    const { eid } = c.req.valid('param');
    await commands.resize(ofMachine(c, c.req.valid('param')), eid, c.req.valid('json'), signalOf(c));
    return c.body(null, 204);
  });
  app.openapi(routes.remove, async (c) => {
    const { eid } = c.req.valid('param');
    await commands.delete(ofMachine(c, c.req.valid('param')), eid, signalOf(c));
    return c.body(null, 204);
  });
  return app;
}

async function* none(): AsyncGenerator<Uint8Array> {}

/** What a browser sends when it connects again. */
function lastEventId(header: string | undefined): number {
  const cursor = /^\d{1,15}$/.test(header ?? '') ? Number(header) : 0;
  return cursor;
}

/**
 * The handlers of `/agentic` and `/.well-known`. What does not change is made once, when it is first asked for: most daemons
 * are never asked, and the documents hold megabytes.
 */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { stringify } from 'yaml';
import { lazily } from '../../../lib/lazily.ts';
import { affordances } from '../../agentic/affordances.ts';
import { agentCard, pluginManifest } from '../../agentic/manifests.ts';
import { ontology } from '../../agentic/ontology.ts';
import { operationsOf } from '../../agentic/ontology-operations.ts';
import { PlanRunner } from '../../agentic/plan-run.ts';
import { callTool, type ToolCall } from '../../agentic/tool.ts';
import { toolDocuments } from '../../agentic/tool-documents.ts';
import { tools } from '../../agentic/tools.ts';
import type { HttpDeps, HttpEnv } from '../../context.ts';
import { nounApp } from '../../documented.ts';
import type { OpenApiDocument } from '../../openapi.ts';
import { manifests, routes } from './agentic-definitions.ts';

export function agenticApp(deps: HttpDeps, makeDocument: () => OpenApiDocument): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  const { version } = deps;
  const isKeyRequired = deps.isHostName === null;
  const document = lazily(makeDocument);
  const texts = lazily(() => asTexts(toolDocuments(tools, version)));
  const world = lazily(() => JSON.stringify(ontology({ document: document(), version, isKeyRequired })));
  const operations = lazily(() => operationsOf(document(), '/api/v1/vms'));
  const yaml = lazily(() => stringify(JSON.parse(JSON.stringify(document()))));
  const plans = new PlanRunner(tools, deps);

  // The types only support answers of one JSON value.
  const send = (c: Context<HttpEnv>, text: string, type = 'application/json') =>
    c.body(text, 200, { 'Content-Type': type }) as never;
  app.openapi(routes.openai, (c) => send(c, texts().openai));
  app.openapi(routes.anthropic, (c) => send(c, texts().anthropic));
  app.openapi(routes.gemini, (c) => send(c, texts().gemini));
  app.openapi(routes.document, (c) => send(c, yaml(), 'application/yaml'));
  app.openapi(routes.ontology, (c) => {
    const { format } = c.req.valid('query');
    return format === 'jsonld' ? send(c, world(), 'application/ld+json') : send(c, texts()[format]);
  });
  app.openapi(routes.affordances, (c) => {
    const { type, state } = c.req.valid('param');
    return c.json(affordances(operations(), type, state), 200);
  });
  app.openapi(routes.call, async (c) => {
    const { tool, arguments: args } = c.req.valid('json');
    const result = await callTool(tools, deps, { tool, arguments: args }, callOf(c));
    return c.json({ success: true as const, tool, result: { ...result }, error: null }, 200);
  });
  app.openapi(routes.validate, (c) => c.json(plans.validate(c.req.valid('json'), callOf(c)), 200));
  app.openapi(routes.execute, async (c) => c.json(await plans.execute(c.req.valid('json'), callOf(c)), 200));
  return app;
}

export function manifestsApp({ version }: HttpDeps): OpenAPIHono<HttpEnv> {
  const app = nounApp();
  app.openapi(manifests.plugin, (c) => c.json(pluginManifest(), 200));
  app.openapi(manifests.agent, (c) => c.json(agentCard(tools, version), 200));
  return app;
}

function callOf(c: Context<HttpEnv>): ToolCall {
  const session = c.get('session');
  return {
    caller: c.get('caller'),
    signal: session.signal,
    reserve: (bytes) => session.reserve(bytes),
  };
}

function asTexts(documents: ReturnType<typeof toolDocuments>) {
  return {
    openai: JSON.stringify(documents.openai),
    anthropic: JSON.stringify(documents.anthropic),
    gemini: JSON.stringify(documents.gemini),
  };
}

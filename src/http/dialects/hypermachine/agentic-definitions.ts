/** The documented routes of `/agentic` and `/.well-known`. Documents need no key; what acts does. */
import { createRoute, type RouteConfig, z } from '@hono/zod-openapi';
import { bodyBytesMax, forEveryone, needsKey, smallBodyBytesMax } from '../../access.ts';
import * as plans from '../../agentic/plan-schema.ts';
import { bodyOf, json } from '../../documented.ts';
import * as schema from './agentic-schema.ts';
import { bodyRefused, guestLost, invalid, keyFailures, noTool, tooLate, wrongState } from './failures.ts';

const tags = ['agentic'];
const { 403: elsewhere } = keyFailures;
const smallBody = { kind: 'json', bytesMax: smallBodyBytesMax } as const;

/** A document that everybody may read. */
const page = <Path extends string, Body extends z.ZodType>(
  path: Path,
  operationId: string,
  summary: string,
  body: Body,
) =>
  createRoute({
    method: 'get',
    path,
    operationId,
    tags,
    ...forEveryone(),
    summary,
    description: 'Needs no key.',
    responses: { 200: json('The document.', body), 403: elsewhere },
  });

export const routes = {
  openai: page('/tools/openai', 'get_openai_tools', 'The tools in OpenAI’s format', schema.openaiTools),
  anthropic: page(
    '/tools/anthropic',
    'get_anthropic_tools',
    'The tools in Anthropic’s format',
    schema.anthropicTools,
  ),
  gemini: page('/tools/gemini', 'get_gemini_tools', 'The tools in Gemini’s format', schema.geminiTools),
  ontology: createRoute({
    method: 'get',
    path: '/ontology',
    operationId: 'get_ontology',
    tags,
    ...forEveryone(),
    summary: 'What this server has and can do',
    description: 'JSON-LD. Needs no key.',
    request: { query: schema.ontologyQuery },
    responses: {
      200: {
        description: 'The ontology, or the tools in the format that was asked for.',
        content: {
          'application/ld+json': { schema: schema.ontologyBody },
          'application/json': {
            schema: z.union([schema.openaiTools, schema.anthropicTools, schema.geminiTools]),
          },
        },
      },
      ...invalid,
      403: elsewhere,
    },
  }),
  affordances: createRoute({
    method: 'get',
    path: '/affordances/{type}/{state}',
    operationId: 'get_affordances',
    tags,
    ...forEveryone(),
    summary: 'What can be done in a state',
    description: 'Empty for an unknown type or state. Needs no key.',
    request: { params: schema.affordanceParams },
    responses: {
      200: json('Operations and transitions.', schema.affordanceBody),
      ...invalid,
      403: elsewhere,
    },
  }),
  document: createRoute({
    method: 'get',
    path: '/openapi.yaml',
    operationId: 'get_openapi_document',
    tags,
    ...forEveryone(),
    summary: 'This API’s OpenAPI document',
    description: 'Needs no key.',
    responses: {
      200: {
        description: 'The document, as YAML.',
        content: {
          'application/yaml': {
            schema: z.looseObject({ openapi: z.string().openapi({ example: '3.1.0' }) }),
          },
        },
      },
      403: elsewhere,
    },
  }),
  call: createRoute({
    method: 'post',
    path: '/call',
    operationId: 'call_tool',
    tags,
    ...needsKey({ body: { kind: 'json', bytesMax: bodyBytesMax } }),
    summary: 'Call a tool',
    description:
      'Runs one of the tools with the key’s own rights. A failure has the status and the error that the same request of `/api/v1/vms` would have.',
    request: bodyOf(schema.callBody, { tool: 'list_vms', arguments: { limit: 10 } }),
    responses: {
      200: json('What the tool answers.', schema.callResult),
      ...invalid,
      ...keyFailures,
      ...noTool,
      409: { ...wrongState[409], description: 'Its state does not allow it, or the name is taken.' },
      ...guestLost,
      ...tooLate,
      ...bodyRefused,
    },
  }),
  validate: createRoute({
    method: 'post',
    path: '/plans/validate',
    operationId: 'validate_plan',
    tags,
    ...needsKey({ body: smallBody }),
    summary: 'Validate a plan',
    description: 'Says whether the plan could run with this key, and in which order. Runs nothing.',
    request: bodyOf(plans.plan, {
      name: 'make-web',
      steps: [{ step_id: 'create', operation_id: 'create_vm', parameters: { name: 'web' } }],
    }),
    responses: {
      200: json('What is wrong with it.', plans.validation),
      ...invalid,
      ...keyFailures,
      ...bodyRefused,
    },
  }),
  execute: createRoute({
    method: 'post',
    path: '/plans/execute',
    operationId: 'execute_plan',
    tags,
    ...needsKey({ body: smallBody }),
    summary: 'Execute a plan',
    description: `
Runs the steps one after another with the key's own rights, and answers when all are done or one has failed. A plan that is not
valid runs nothing.
`.trim(),
    request: bodyOf(plans.execution, {
      plan: { name: 'look', steps: [{ step_id: 'list', operation_id: 'list_vms' }] },
    }),
    responses: { 200: json('How it went.', plans.executed), ...invalid, ...keyFailures, ...bodyRefused },
  }),
};
export const agenticRoutes: readonly RouteConfig[] = Object.values(routes);

export const manifests = {
  plugin: page('/ai-plugin.json', 'get_plugin_manifest', 'The manifest of a plugin', schema.manifestBody),
  agent: page('/agent.json', 'get_agent_card', 'The card of an agent', schema.manifestBody),
};
export const manifestRoutes: readonly RouteConfig[] = Object.values(manifests);

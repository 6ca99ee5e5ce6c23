/** What `/agentic` and `/.well-known` accept and send, as far as it has a fixed form. */
import { z } from '@hono/zod-openapi';
import { closed, closedQuery } from '../../schema.ts';
import { vmStates } from './schema.ts';

const anything = z.record(z.string(), z.unknown());
const texts = z.array(z.string());

export const callBody = closed({
  tool: z.string().min(1).max(128).openapi({ description: 'The name of a tool.', example: 'list_vms' }),
  arguments: anything
    .default({})
    .openapi({ description: 'As the tool’s schema says.', example: { limit: 10 } }),
  agent_id: z
    .string()
    .max(255)
    .nullable()
    .optional()
    .openapi({ description: 'Taken and not used: the key says who calls.' }),
}).openapi('ToolCall');

export const callResult = z
  .object({
    success: z.literal(true),
    tool: z.string().openapi({ example: 'list_vms' }),
    result: anything,
    error: z.null(),
  })
  .openapi('ToolResult');

const described = { name: z.string(), description: z.string() };
export const openaiTools = z
  .object({
    tools: z.array(
      z.object({ type: z.literal('function'), function: z.object({ ...described, parameters: anything }) }),
    ),
  })
  .openapi('OpenAiTools');
export const anthropicTools = z
  .object({
    name: z.string(),
    version: z.string(),
    tools: z.array(z.object({ ...described, input_schema: anything })),
  })
  .openapi('AnthropicTools');
export const geminiTools = z
  .object({ functionDeclarations: z.array(z.object({ ...described, parameters: anything })) })
  .openapi('GeminiTools');

export const ontologyFormats = ['jsonld', 'openai', 'anthropic', 'gemini'] as const;
export const ontologyQuery = closedQuery({
  format: z
    .enum(ontologyFormats)
    .default('jsonld')
    .openapi({ param: { description: 'The tools of one provider instead.' } }),
});

export const ontologyBody = z
  .object({
    '@context': anything,
    system: anything,
    capabilities: z.array(anything),
    resources: z.array(anything),
    operations: z.array(anything),
    state_machines: z.array(anything),
    events: z.array(anything),
  })
  .openapi('Ontology');

export const affordanceParams = z.object({
  type: z
    .string()
    .min(1)
    .max(64)
    .openapi({ param: { description: 'A type of resource: `vm`.' }, example: 'vm' }),
  state: z
    .string()
    .min(1)
    .max(64)
    .openapi({ param: { description: `One of ${vmStates.join(', ')}.` }, example: 'running' }),
});
export const affordanceBody = z
  .object({
    resource_type: z.string(),
    current_state: z.string(),
    available_operations: z.array(
      z.object({
        operation_id: z.string(),
        ...described,
        http_method: z.string(),
        path: z.string(),
        preconditions: texts,
        postconditions: texts,
        idempotent: z.boolean(),
      }),
    ),
    possible_transitions: z.array(
      z.object({
        target_state: z.string(),
        trigger_operation: z.string(),
        conditions: texts,
        reversible: z.boolean(),
      }),
    ),
  })
  .openapi('Affordances');

export const manifestBody = anything.openapi('Manifest');

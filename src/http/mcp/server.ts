/**
 * What this daemon offers to one MCP client: the tools of agentic/tools.ts and its machines as resources, with
 * the rights of the caller's key. Knows the protocol's messages but no connection.
 */
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import type { RequestHandlerExtra } from '@modelcontextprotocol/sdk/shared/protocol.js';
import {
  type CallToolRequest,
  CallToolRequestSchema,
  type CallToolResult,
  ErrorCode,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  type ServerNotification,
  type ServerRequest,
  type Tool as ToolDescription,
} from '@modelcontextprotocol/sdk/types.js';
import { AppError } from '../../core/errors.ts';
import type { Caller } from '../../core/keys/caller.ts';
import { inputSchemas } from '../agentic/input-schemas.ts';
import { findTool, type Tool } from '../agentic/tool.ts';
import type { HttpDeps } from '../context.ts';
import { neutralError, toAppError } from '../errors.ts';
import { errorFor } from '../host-paths.ts';
import { followSteps, type Report } from './progress.ts';
import { listResources, readResource, resourceTemplates } from './resources.ts';

/** Calls that one session may have under way. */
export const callsMax = 16;

const instructions =
  'Flotilla runs microVMs: each is a Linux machine of its own. Create one with create_vm, start it with start_vm, run ' +
  'scripts and commands in it with execute_script and execute_command, and stop and delete it when it is no longer needed.';

type Extra = RequestHandlerExtra<ServerRequest, ServerNotification>;

/** A server for one session. Each request brings how its memory is charged; see `authInfoOf`. */
export function makeMcpServer(deps: HttpDeps, caller: Caller, tools: readonly Tool[]): Server {
  const server = new Server(
    { name: 'flotilla', version: deps.version },
    { capabilities: { tools: {}, resources: {} }, instructions },
  );
  const descriptions = describeTools(tools);
  let calls = 0;
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: descriptions }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const tool = findTool(tools, params.name);
    if (tool === null) throw new McpError(ErrorCode.InvalidParams, `Unknown tool: ${params.name}`);
    if (calls >= callsMax) {
      return failed(deps, new AppError('exhausted', `This session has ${callsMax} calls under way`));
    }
    calls += 1;
    try {
      return answerOf(await call(deps, caller, tool, params, extra));
    } catch (error) {
      return failed(deps, error);
    } finally {
      calls -= 1;
    }
  });
  server.setRequestHandler(ListResourcesRequestSchema, ({ params }) =>
    asProtocolError(deps, () => listResources(deps, caller, params?.cursor)),
  );
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }, { signal }) =>
    asProtocolError(deps, () => readResource(deps, caller, params.uri, signal)),
  );
  return server;
}

/** The SDK's way of giving a request's handler something of its connection. */
export function authInfoOf(reserve: (bytes: number) => void) {
  return { token: '', clientId: '', scopes: [], extra: { reserve } };
}

function reserveOf({ authInfo }: Extra): (bytes: number) => void {
  return authInfo?.extra?.reserve as (bytes: number) => void;
}

async function call(
  deps: HttpDeps,
  caller: Caller,
  tool: Tool,
  { arguments: args = {}, _meta }: CallToolRequest['params'],
  extra: Extra,
): Promise<object> {
  const toolCall = { caller, signal: extra.signal, reserve: reserveOf(extra) };
  const progressToken = _meta?.progressToken;
  if (progressToken === undefined) return tool.run(deps, args, toolCall);
  const report: Report = (progress, message) => {
    const params = { progressToken, progress, message };
    // A lost notification is no failure of the call.
    void extra.sendNotification({ method: 'notifications/progress', params }).catch(() => undefined);
  };
  report(0, `${tool.name} has begun`);
  const stopFollowing = followSteps(deps, caller, args.vm_id ?? args.name, report);
  try {
    return await tool.run(deps, args, toolCall);
  } finally {
    await stopFollowing();
  }
}

function describeTools(tools: readonly Tool[]): ToolDescription[] {
  const schemas = inputSchemas(tools);
  return tools.map(({ name, description, isReadOnly }) => ({
    ...{ name, description },
    inputSchema: schemas.get(name) as ToolDescription['inputSchema'],
    annotations: { readOnlyHint: isReadOnly, openWorldHint: false },
  }));
}

function answerOf(result: object): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(result) }], structuredContent: { ...result } };
}

/** A tool's failure is a result, so that the model reads it and can do something else. */
function failed(deps: HttpDeps, thrown: unknown): CallToolResult {
  const { error } = describe(deps, thrown);
  const text = error.hint === undefined ? error.message : `${error.message}. ${error.hint}`;
  return { isError: true, content: [{ type: 'text', text }], structuredContent: { error } };
}

interface DescribedError {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

function describe({ log }: HttpDeps, thrown: unknown): DescribedError {
  const error = toAppError(thrown);
  if (error.code === 'internal') log.error({ err: thrown }, 'MCP call failed');
  return neutralError(errorFor(error, false), null).body as DescribedError;
}

/** The protocol's own code for a resource that does not exist. */
const resourceNotFound = -32_002;

async function asProtocolError<T>(deps: HttpDeps, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (thrown) {
    const { error } = describe(deps, thrown);
    const { code } = toAppError(thrown);
    if (code === 'not_found') throw new McpError(resourceNotFound, error.message);
    throw new McpError(code === 'invalid' ? ErrorCode.InvalidParams : ErrorCode.InternalError, error.message);
  }
}

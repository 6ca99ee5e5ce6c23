/**
 * A tool that a program may give to a language model: a name, a description, the schema of its arguments, and
 * what it does. Knows nothing of requests, so that every protocol for tools can offer the same ones.
 */
import { z } from '@hono/zod-openapi';
import { AppError } from '../../core/errors.ts';
import type { FileService } from '../../core/files/service.ts';
import type { ImageService } from '../../core/images/service.ts';
import { type Caller, checkScope, type Scope } from '../../core/keys/caller.ts';
import type { MachineService } from '../../core/machines/service.ts';
import type { ScriptService } from '../../core/scripts/service.ts';
import type { SnapshotService } from '../../core/snapshots/service.ts';
import { describeIssue } from '../issues.ts';
import { unknownName } from '../schema.ts';

export interface ToolDeps {
  readonly machines: MachineService;
  readonly files: FileService;
  readonly scripts: ScriptService;
  readonly imageService: ImageService;
  readonly snapshots: SnapshotService;
}

/** Who calls, and for how long. */
export interface ToolCall {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** Charges the caller for memory until the call has been answered. Raises `exhausted`. */
  readonly reserve: (bytes: number) => void;
}

/** For the arguments of tools about one virtual machine. */
export const vmIdField = z
  .string()
  .min(1)
  .max(131)
  .openapi({ description: 'The virtual machine: its id or name.' });

export type ToolArguments = Readonly<Record<string, unknown>>;

/** A call of another tool. */
export interface ToolOrder {
  readonly tool: string;
  readonly arguments: ToolArguments;
}

export interface Tool {
  /** Verb first; providers accept `[a-zA-Z0-9_-]{1,64}`. */
  readonly name: string;
  /** Other names by which it may be called. */
  readonly aliases: readonly string[];
  readonly description: string;
  readonly scope: Scope;
  readonly input: z.ZodObject;
  /** True when it changes nothing. */
  readonly isReadOnly: boolean;
  /** What holds after a success, for plans. */
  readonly postconditions: readonly string[];
  /** Raises `forbidden`, `invalid`, and the errors of what it does. */
  run(deps: ToolDeps, args: ToolArguments, call: ToolCall): Promise<object>;
  readonly canUndo: boolean;
  /** What takes a success back; null when it cannot be. */
  undo(args: ToolArguments, output: object): ToolOrder | null;
}

interface ToolDefinition<Input extends z.ZodObject, Output extends object> {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly description: string;
  readonly scope: Scope;
  readonly input: Input;
  /** Default: true when the scope is the one for reading. */
  readonly isReadOnly?: boolean;
  readonly postconditions?: readonly string[];
  readonly run: (deps: ToolDeps, input: z.infer<Input>, call: ToolCall) => Promise<Output>;
  readonly undo?: (args: ToolArguments, output: Output) => ToolOrder;
}

/** Adds to a definition what holds for every tool: its caller's scope and its arguments are checked. */
export function makeTool<Input extends z.ZodObject, Output extends object>(
  definition: ToolDefinition<Input, Output>,
): Tool {
  const { name, aliases = [], description, scope, input, postconditions = [], run, undo } = definition;
  const { isReadOnly = scope === 'machines:read' } = definition;
  return {
    ...{ name, aliases, description, scope, input, postconditions, isReadOnly },
    async run(deps, args, call) {
      checkScope(call.caller, scope);
      const parsed = input.safeParse(args);
      if (!parsed.success) throw new AppError('invalid', describeIssue(parsed.error, args));
      return run(deps, parsed.data, call);
    },
    canUndo: undo !== undefined,
    undo: (args, output) => undo?.(args, output as Output) ?? null,
  };
}

/** By name or alias; null for an unknown one. */
export function findTool(tools: readonly Tool[], name: string): Tool | null {
  return tools.find((tool) => tool.name === name || tool.aliases.includes(name)) ?? null;
}

/** Raises `not_found` for an unknown tool, and the errors of `Tool.run`. */
export async function callTool(
  tools: readonly Tool[],
  deps: ToolDeps,
  order: ToolOrder,
  call: ToolCall,
): Promise<object> {
  const tool = findTool(tools, order.tool);
  if (tool) return tool.run(deps, order.arguments, call);
  throw new AppError(
    'not_found',
    unknownName(
      'tool',
      order.tool,
      tools.map(({ name }) => name),
    ),
  );
}

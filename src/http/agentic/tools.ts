/**
 * The one table of tools for agents. The documents for providers, `POST /agentic/call` and plans are made from
 * it, so a tool that is listed is a tool that runs. Words and answers are HyperMachine's.
 */
import { z } from '@hono/zod-openapi';
import { type MachineState, outcomeOf } from '../../core/machines/states.ts';
import { CappedText } from '../../core/scripts/capped-text.ts';
import { scriptOutputBytesMax } from '../../core/scripts/service.ts';
import {
  createFields,
  pageLimitMax,
  scriptFields,
  type VmAction,
  vmActions,
  vmStates,
} from '../dialects/hypermachine/schema.ts';
import { VmService } from '../dialects/hypermachine/service.ts';
import { stateWord, vmId } from '../dialects/hypermachine/translate.ts';
import { closed } from '../schema.ts';
import { fileTools } from './file-tools.ts';
import { snapshotTools } from './snapshot-tools.ts';
import { makeTool, type Tool, type ToolArguments, type ToolOrder, vmIdField } from './tool.ts';

const vmInput = closed({ vm_id: vmIdField });
const timeoutSeconds = z.int().min(1).max(300).default(30).openapi({
  description: 'Seconds after which it is ended.',
});
/** The longest argument that Linux passes to a program. */
const argument = z.string().max(131_071);
const consoleBytesMax = 1024 * 1024;

const actionTexts: Readonly<Record<VmAction, string>> = {
  start:
    'Start a virtual machine and wait until its guest is ready. It must be created, stopped or in error.',
  stop: 'Stop a running or paused virtual machine. Its disk is kept.',
  pause:
    'Pause a running virtual machine. Its memory is kept, and it accepts no scripts until it is resumed.',
  resume: 'Resume a paused virtual machine.',
  restart: 'Stop a running virtual machine and start it again.',
};

/** The action that takes each one back; a restart cannot be. */
const oppositeActions: Readonly<Partial<Record<VmAction, VmAction>>> = {
  start: 'stop',
  stop: 'start',
  pause: 'resume',
  resume: 'pause',
};

function stateIs(state: MachineState): string {
  return `the virtual machine's state is '${stateWord(state)}'`;
}

function undoOf(action: VmAction): { undo?: (args: ToolArguments) => ToolOrder } {
  const opposite = oppositeActions[action];
  if (opposite === undefined) return {};
  return { undo: ({ vm_id }) => ({ tool: `${opposite}_vm`, arguments: { vm_id } }) };
}

const actionTools: readonly Tool[] = vmActions.map((action) =>
  makeTool({
    name: `${action}_vm`,
    description: actionTexts[action],
    scope: 'machines:write',
    input: vmInput,
    postconditions: [stateIs(outcomeOf(action, 'created'))],
    run: (deps, { vm_id }, { caller, signal }) => new VmService(deps).act(caller, vm_id, action, signal),
    ...undoOf(action),
  }),
);

const lifeTools: readonly Tool[] = [
  makeTool({
    name: 'create_vm',
    description:
      'Create a virtual machine and its disk. It does not run before start_vm. The answer has its id.',
    scope: 'machines:write',
    input: closed(createFields),
    postconditions: [stateIs('created')],
    run: (deps, body, { caller, signal }) => new VmService(deps).create(caller, body, signal),
    undo: (_, { id }) => ({ tool: 'delete_vm', arguments: { vm_id: id } }),
  }),
  makeTool({
    name: 'list_vms',
    description: 'List virtual machines, newest first, with their states.',
    scope: 'machines:read',
    input: closed({
      state: z.enum(vmStates).optional().openapi({ description: 'Only those in this state.' }),
      limit: z.int().min(1).max(pageLimitMax).default(20).openapi({ description: 'How many to show.' }),
      offset: z.int().min(0).default(0).openapi({ description: 'How many to skip.' }),
    }),
    run: (deps, query, { caller }) => new VmService(deps).list(caller, query),
  }),
  makeTool({
    name: 'get_vm_status',
    aliases: ['get_vm'],
    description: 'Get the state of a virtual machine, its size and its uptime, and why it failed if it did.',
    scope: 'machines:read',
    input: vmInput,
    run: (deps, { vm_id }, { caller }) => new VmService(deps).get(caller, vm_id),
  }),
  ...actionTools,
  makeTool({
    name: 'delete_vm',
    description: 'Delete a virtual machine and its disk for good. It must not run: use stop_vm first.',
    scope: 'machines:write',
    input: vmInput,
    postconditions: ['the virtual machine and its disk are gone'],
    run: (deps, { vm_id }, { caller }) => new VmService(deps).delete(caller, vm_id),
  }),
];

const insideTools: readonly Tool[] = [
  makeTool({
    name: 'execute_script',
    description:
      'Run a script for a virtual machine and get its output. sh, bash, python and node run inside a running one; rhai runs on the host in a sandbox.',
    scope: 'machines:exec',
    input: closed({
      vm_id: vmIdField,
      ...scriptFields,
      code: z.string().max(1_048_576).openapi({ description: 'The text of the script.' }),
    }),
    run: (deps, { vm_id, ...body }, { caller, reserve, signal }) =>
      new VmService(deps).script(caller, vm_id, body, reserve, signal),
  }),
  makeTool({
    name: 'execute_command',
    description: 'Run one program with arguments inside a running virtual machine, without a shell.',
    scope: 'machines:exec',
    input: closed({
      vm_id: vmIdField,
      command: z.array(argument).min(1).max(1024).openapi({ description: 'The program and its arguments.' }),
      cwd: argument.optional().openapi({ description: 'The working directory.' }),
      timeout_seconds: timeoutSeconds,
    }),
    async run({ machines, scripts }, { vm_id, command, cwd, timeout_seconds }, { caller, reserve, signal }) {
      const { id } = await new VmService({ machines, scripts }).find(caller, vm_id);
      reserve(2 * scriptOutputBytesMax);
      const request = {
        argv: command,
        timeoutMs: timeout_seconds * 1000,
        ...(cwd === undefined ? {} : { cwd }),
      };
      const run = await scripts.command(caller.tenant, id, request, signal);
      return {
        id: vmId({ id }),
        success: run.status === 'completed',
        status: run.status,
        exit_code: run.exitCode,
        signal: run.signal,
        stdout: run.stdout,
        stderr: run.stderr,
        output_truncated: run.isTruncated,
        error: run.error,
        duration_ms: run.durationMs,
      };
    },
  }),
  makeTool({
    name: 'read_console',
    description:
      'Read the last lines of a virtual machine’s serial console, for example to see why it failed.',
    scope: 'machines:read',
    input: closed({
      vm_id: vmIdField,
      lines: z.int().min(1).max(1000).default(100).openapi({ description: 'How many of the last lines.' }),
    }),
    async run(deps, { vm_id, lines }, { caller, reserve, signal }) {
      const { id } = await new VmService(deps).find(caller, vm_id);
      reserve(consoleBytesMax);
      const text = new CappedText(consoleBytesMax);
      const pieces = await deps.machines.console(caller.tenant, id, { lines, follow: false }, signal);
      for await (const piece of pieces) text.push(piece);
      return { id: vmId({ id }), console: text.text() };
    },
  }),
  makeTool({
    name: 'get_vm_metrics',
    aliases: ['get_metrics'],
    description:
      'Get what a virtual machine uses now: processor time, memory, disk traffic. Null: not measured.',
    scope: 'machines:read',
    input: vmInput,
    run: (deps, { vm_id }, { caller, signal }) => new VmService(deps).metrics(caller, vm_id, signal),
  }),
];

const hostTools: readonly Tool[] = [
  makeTool({
    name: 'list_images',
    description: 'List the images that virtual machines can be created from.',
    scope: 'machines:read',
    input: closed({
      limit: z.int().min(1).max(pageLimitMax).default(50).openapi({ description: 'How many to show.' }),
      offset: z.int().min(0).default(0).openapi({ description: 'How many to skip.' }),
    }),
    async run({ imageService }, page, { caller }) {
      const { images, total } = await imageService.list(caller, page);
      return {
        images: images.map(({ name, rootMib, memoryMibMin }) => ({
          name,
          disk_mb_min: rootMib,
          memory_mb_min: memoryMibMin,
        })),
        total,
      };
    },
  }),
];

export const tools: readonly Tool[] = [
  ...lifeTools,
  ...insideTools,
  ...fileTools,
  ...snapshotTools,
  ...hostTools,
];

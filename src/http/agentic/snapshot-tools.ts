/** The tools that keep moments of virtual machines, go back to them and fork; a part of the table in `tools.ts`. */
import { z } from '@hono/zod-openapi';
import { nameCharactersMax } from '../../core/machines/names.ts';
import { pageLimitMax } from '../dialects/hypermachine/schema.ts';
import { VmService } from '../dialects/hypermachine/service.ts';
import { toSummary, vmId } from '../dialects/hypermachine/translate.ts';
import { neutralShape } from '../errors.ts';
import { errorFor } from '../host-paths.ts';
import { requireAny, toSnapshotBody } from '../native/snapshots/routes.ts';
import { closed } from '../schema.ts';
import { makeTool, type Tool, vmIdField } from './tool.ts';

/** An agent that wants more of them asks again. */
const forksMax = 10;
const snapshotField = z
  .string()
  .min(1)
  .max(nameCharactersMax)
  .openapi({ description: 'The snapshot: its id or name.' });

type Snapshot = Parameters<typeof toSnapshotBody>[0];

function shown(snapshot: Snapshot) {
  const { machine_id, ...body } = toSnapshotBody(snapshot);
  return { ...body, vm_id: vmId({ id: machine_id }) };
}

export const snapshotTools: readonly Tool[] = [
  makeTool({
    name: 'create_snapshot',
    description:
      'Keep the disk of a virtual machine as it is now, and its memory if it runs, for example before a risky change.',
    scope: 'machines:write',
    input: closed({
      vm_id: vmIdField,
      name: z
        .string()
        .min(1)
        .max(nameCharactersMax)
        .optional()
        .openapi({ description: 'What it is called. Default: one is made up.' }),
      memory: z.boolean().optional().openapi({
        description: 'Whether to keep the memory. Default: true if the virtual machine is up.',
      }),
    }),
    postconditions: ['the snapshot is complete'],
    async run(deps, { vm_id, ...request }, { caller, signal }) {
      const { id } = await new VmService(deps).find(caller, vm_id);
      return shown(await deps.snapshots.create(caller.tenant, id, request, signal));
    },
    undo: (_, { id }) => ({ tool: 'delete_snapshot', arguments: { snapshot: id } }),
  }),
  makeTool({
    name: 'list_snapshots',
    description: 'List snapshots, newest first, of all virtual machines or of one.',
    scope: 'machines:read',
    input: closed({
      vm_id: vmIdField.optional(),
      limit: z.int().min(1).max(pageLimitMax).default(20).openapi({ description: 'How many to show.' }),
      offset: z.int().min(0).default(0).openapi({ description: 'How many to skip.' }),
    }),
    async run({ snapshots }, { vm_id, ...page }, { caller }) {
      const found = await snapshots.list(caller.tenant, { ...page, machine: vm_id });
      return { snapshots: found.snapshots.map(shown), total: found.total };
    },
  }),
  makeTool({
    name: 'restore_snapshot',
    description:
      'Set the virtual machine that a snapshot was taken of back to it. What it has now is lost, also while it runs.',
    scope: 'machines:write',
    input: closed({
      snapshot: snapshotField,
      start: z.boolean().optional().openapi({
        description: 'Whether it runs afterwards. Default: true if the snapshot has memory.',
      }),
    }),
    postconditions: ['the disk of the virtual machine is the snapshot’s'],
    async run({ snapshots }, { snapshot, start }, { caller, signal }) {
      return toSummary(await snapshots.restore(caller.tenant, snapshot, { start }, signal));
    },
  }),
  makeTool({
    name: 'delete_snapshot',
    description: 'Delete a snapshot for good. Virtual machines made from it stay.',
    scope: 'machines:write',
    input: closed({ snapshot: snapshotField }),
    postconditions: ['the snapshot is gone'],
    async run({ snapshots }, { snapshot }, { caller }) {
      await snapshots.delete(caller.tenant, snapshot);
      return { snapshot, deleted: true };
    },
  }),
  makeTool({
    name: 'fork_vm',
    description:
      'Make virtual machines that go on from this moment of one, for example to try several things at once. It goes on as well.',
    scope: 'machines:write',
    input: closed({
      vm_id: vmIdField,
      count: z.int().min(1).max(forksMax).default(1).openapi({ description: 'How many to make.' }),
      name: z.string().min(1).max(nameCharactersMax).optional().openapi({
        description: 'What they are called, followed by - and a number. Default: the name of the first.',
      }),
    }),
    async run(deps, { vm_id, ...request }, { caller, signal }) {
      const { id } = await new VmService(deps).find(caller, vm_id);
      const outcomes = await deps.snapshots.fork(caller.tenant, id, request, caller, signal);
      requireAny(outcomes);
      return {
        vms: outcomes.map(({ name, machine, problem }) => ({
          name,
          ...(machine === null ? {} : toSummary(machine)),
          error: problem && neutralShape(errorFor(problem, caller.isOperator)).message,
        })),
      };
    },
  }),
];

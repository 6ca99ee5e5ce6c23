/** The body that changes a machine. */
import { z } from '@hono/zod-openapi';
import { closed, integerMax } from '../../schema.ts';
import {
  autoWakeField,
  envChanges,
  exposedPortsField,
  holdField,
  idleField,
  labelChanges,
  lifetimeCountsField,
  lifetimeField,
  nameField,
  onExpireField,
  restartField,
  sshKeyChanges,
  sshPortChange,
} from './fields.ts';
import { networkChange } from './network-schema.ts';

const atRest = 'Can change only while the machine is stopped.';

export const updateBody = closed({
  name: nameField.optional(),
  labels: labelChanges.optional(),
  env: envChanges.optional(),
  exposed_ports: exposedPortsField.optional().openapi({
    description:
      'All TCP ports of the guest that the reverse proxy may reach from now on, also while it runs. Requests under way go on.',
    example: [8080],
  }),
  exposed_ports_add: exposedPortsField.optional().openapi({
    description:
      'TCP ports to expose beside those that are, at that moment; of simultaneous changes none is lost.',
    example: [8080],
  }),
  exposed_ports_remove: exposedPortsField.optional().openapi({
    description: 'TCP ports that are not to be exposed any more; the others stay.',
    example: [80],
  }),
  restart: restartField.optional(),
  auto_wake: autoWakeField.optional(),
  idle: idleField.nullable().optional().openapi({
    description: 'What happens to it when nobody uses it for a while; null: nothing. Counts from now.',
  }),
  hold_seconds: holdField.nullable().optional().openapi({
    description:
      'Seconds from now in which `idle` does not act, whoever uses the machine or does not; null ends that.',
    example: 7200,
  }),
  lifetime_seconds: lifetimeField.nullable().optional().openapi({
    description:
      'Seconds from now until `on_expire` happens, or from when the machine goes on if its lifetime stands still; null removes the lifetime.',
    example: 3600,
  }),
  on_expire: onExpireField.optional(),
  lifetime_counts: lifetimeCountsField.optional(),
  vcpu_count: z
    .int()
    .min(1)
    .optional()
    .openapi({ description: `Number of vCPUs. ${atRest}`, maximum: integerMax, example: 2 }),
  mem_size_mib: z
    .int()
    .min(4)
    .optional()
    .openapi({ description: `Memory in MiB. ${atRest}`, maximum: integerMax, example: 512 }),
  disk_size_mib: z
    .int()
    .min(1)
    .optional()
    .openapi({
      description: `Size of the root disk in MiB. It can only grow. ${atRest}`,
      maximum: integerMax,
      example: 2048,
    }),
  ssh_keys: sshKeyChanges.optional(),
  ssh_port: sshPortChange.optional(),
  network: networkChange.optional(),
}).openapi('UpdateMachine');
export type UpdateBody = z.infer<typeof updateBody>;

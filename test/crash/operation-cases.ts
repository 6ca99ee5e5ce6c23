/** The operations on machines, each with how it is brought about and where it may end. */
import type { MachineService } from '../../src/core/machines/service.ts';
import type { MachineState } from '../../src/core/machines/states.ts';
import type { OperationKind } from '../../src/core/operations/operation.ts';

export const tenant = 'default';
export const name = 'web';

export interface OperationCase {
  readonly kind: OperationKind;
  readonly steps: readonly string[];
  /** Brings the machine to where the operation begins. */
  prepare(machines: MachineService): Promise<unknown>;
  act(machines: MachineService): Promise<unknown>;
  /** `deleted`: there is no machine. */
  readonly succeeded: MachineState;
  readonly failed: MachineState;
}

const create = (machines: MachineService) =>
  machines.create(tenant, { name, vcpuCount: 1, memoryMib: 128, image: 'busybox', diskMib: 256 });
const start = (machines: MachineService) => machines.start(tenant, name);
const running = async (machines: MachineService) => {
  await create(machines);
  await start(machines);
};

const pause = (machines: MachineService) => machines.pause(tenant, name);

export const operationCases: readonly OperationCase[] = [
  {
    kind: 'machine.create',
    steps: ['disk'],
    prepare: async () => undefined,
    act: create,
    succeeded: 'created',
    failed: 'deleted',
  },
  {
    kind: 'machine.start',
    steps: ['clear', 'launch', 'ready'],
    prepare: create,
    act: start,
    succeeded: 'running',
    failed: 'failed',
  },
  {
    kind: 'machine.restart',
    steps: ['quit', 'clear', 'launch', 'ready'],
    prepare: running,
    act: (machines) => machines.restart(tenant, name),
    succeeded: 'running',
    failed: 'failed',
  },
  {
    kind: 'machine.stop',
    steps: ['shutdown', 'halt'],
    prepare: running,
    act: (machines) => machines.stop(tenant, name),
    succeeded: 'stopped',
    failed: 'failed',
  },
  {
    kind: 'machine.pause',
    steps: ['pause'],
    prepare: running,
    act: pause,
    succeeded: 'paused',
    failed: 'running',
  },
  {
    kind: 'machine.resume',
    steps: ['continue', 'ready'],
    prepare: async (machines) => {
      await running(machines);
      await pause(machines);
    },
    act: (machines) => machines.resume(tenant, name),
    succeeded: 'running',
    failed: 'paused',
  },
  {
    kind: 'machine.delete',
    steps: ['destroy', 'disk'],
    prepare: running,
    act: (machines) => machines.delete(tenant, name, { force: true }),
    succeeded: 'deleted',
    failed: 'failed',
  },
];

/** Every kind of operation, with how it is started and where it may end. */
import type { Core } from '../../src/core/core.ts';
import type { MachineService } from '../../src/core/machines/service.ts';
import type { MachineOperationKind } from '../../src/core/machines/steps/definitions.ts';
import type { OperationKind } from '../../src/core/operations/operation.ts';
import {
  environmentRequest,
  environmentWorld,
  image,
  imageWorld,
  machineRequest,
  machineWorld,
  name,
  operator,
  snapshotName,
  snapshotWorld,
  tenant,
  type World,
} from './worlds.ts';

export interface OperationCase {
  readonly kind: OperationKind;
  readonly steps: readonly string[];
  /** The subject of the operation. */
  readonly world: World;
  /** Brings the subject to the operation's starting point. */
  prepare(core: Core): Promise<unknown>;
  act(core: Core): Promise<unknown>;
  /** The subject's state after success, as the world reports it. */
  readonly succeeded: string;
  /** The possible states after a failure; first the one after a failure before any effect. */
  readonly failed: readonly string[];
}

interface MachineCase {
  readonly kind: MachineOperationKind;
  readonly steps: readonly string[];
  prepare(machines: MachineService): Promise<unknown>;
  act(machines: MachineService): Promise<unknown>;
  readonly succeeded: string;
  readonly failed: string | readonly string[];
}

const create = (machines: MachineService) => machines.create(tenant, machineRequest);
const start = (machines: MachineService) => machines.start(tenant, name);
const running = async (machines: MachineService) => {
  await create(machines);
  await start(machines);
};

const pause = (machines: MachineService) => machines.pause(tenant, name);
const suspend = (machines: MachineService) => machines.suspend(tenant, name);

export const machineCases: readonly MachineCase[] = [
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
    kind: 'machine.suspend',
    steps: ['pause', 'save', 'end'],
    prepare: running,
    act: suspend,
    succeeded: 'suspended',
    // Once its VMM begins to end, it stays suspended.
    failed: ['running', 'suspended'],
  },
  {
    kind: 'machine.restore',
    steps: ['clear', 'launch', 'memory', 'continue', 'ready'],
    prepare: async (machines) => {
      await running(machines);
      await suspend(machines);
    },
    act: start,
    succeeded: 'running',
    // Its memory can be used once.
    failed: ['suspended', 'failed'],
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

const importImage = ({ imageService }: Core) =>
  imageService.add(operator, image, new AbortController().signal);

const imageCases: readonly OperationCase[] = [
  {
    kind: 'image.import',
    world: imageWorld,
    steps: ['receive', 'build', 'publish', 'clear'],
    prepare: async () => undefined,
    act: importImage,
    succeeded: 'there',
    failed: ['absent'],
  },
  {
    kind: 'image.delete',
    world: imageWorld,
    steps: ['content'],
    prepare: importImage,
    act: ({ imageService }) => imageService.delete(operator, image.name),
    succeeded: 'absent',
    // A removed image cannot be restored.
    failed: ['there', 'absent'],
  },
];

const runningCore = ({ machines }: Core) => running(machines);
const takeSnapshot = ({ snapshots }: Core) => snapshots.create(tenant, name, { name: snapshotName });

const snapshotCases: readonly OperationCase[] = [
  {
    kind: 'snapshot.create',
    world: snapshotWorld,
    steps: ['capture', 'publish'],
    prepare: runningCore,
    act: takeSnapshot,
    succeeded: 'ready',
    failed: ['absent'],
  },
  {
    kind: 'snapshot.delete',
    world: snapshotWorld,
    steps: ['files'],
    async prepare(core) {
      await runningCore(core);
      await takeSnapshot(core);
    },
    act: ({ snapshots }) => snapshots.delete(tenant, snapshotName),
    succeeded: 'absent',
    // Some of its files may be gone.
    failed: ['deleting', 'absent'],
  },
  {
    kind: 'machine.clone',
    world: machineWorld,
    steps: ['disk', 'memory'],
    async prepare(core) {
      await runningCore(core);
      await takeSnapshot(core);
      await core.machines.delete(tenant, name, { force: true });
    },
    act: ({ machines }) =>
      machines.create(tenant, { name, source: { kind: 'snapshot', snapshot: snapshotName } }),
    succeeded: 'suspended',
    failed: ['deleted'],
  },
  {
    kind: 'machine.revert',
    world: machineWorld,
    steps: ['end', 'content'],
    async prepare(core) {
      await runningCore(core);
      await takeSnapshot(core);
    },
    act: ({ snapshots }) => snapshots.restore(tenant, snapshotName, { start: false }),
    succeeded: 'suspended',
    failed: ['stopped'],
  },
];

const createEnvironment = ({ environments }: Core) => environments.create(tenant, environmentRequest);

const environmentCases: readonly OperationCase[] = [
  {
    kind: 'environment.create',
    world: environmentWorld,
    steps: ['machines'],
    prepare: async () => undefined,
    act: createEnvironment,
    succeeded: 'active',
    failed: ['absent'],
  },
  {
    kind: 'environment.stop',
    world: environmentWorld,
    steps: ['machines'],
    prepare: createEnvironment,
    act: ({ environments }) => environments.stop(tenant, 'ci'),
    succeeded: 'stopped',
    failed: ['active'],
  },
  {
    kind: 'environment.start',
    world: environmentWorld,
    steps: ['machines'],
    async prepare(core) {
      await createEnvironment(core);
      await core.environments.stop(tenant, 'ci');
    },
    act: ({ environments }) => environments.start(tenant, 'ci'),
    succeeded: 'active',
    failed: ['active'],
  },
  {
    kind: 'environment.delete',
    world: environmentWorld,
    steps: ['machines'],
    prepare: createEnvironment,
    act: ({ environments }) => environments.delete(tenant, 'ci'),
    succeeded: 'absent',
    failed: ['active'],
  },
];

export const operationCases: readonly OperationCase[] = [
  ...machineCases.map(({ prepare, act, failed, ...rest }) => ({
    ...rest,
    world: machineWorld,
    prepare: ({ machines }: Core) => prepare(machines),
    act: ({ machines }: Core) => act(machines),
    failed: [failed].flat(),
  })),
  ...environmentCases,
  ...imageCases,
  ...snapshotCases,
];

/** The records of its steps at which a daemon can be killed. */
export function momentsOf<Kind extends OperationKind>(kind: Kind, { steps }: Pick<OperationCase, 'steps'>) {
  return [
    ...steps.map((step) => ({ kind, step, phase: 'started' as const })),
    // The success of an earlier step is in the same write as the start of the next one.
    ...steps.slice(-1).map((step) => ({ kind, step, phase: 'succeeded' as const })),
  ];
}

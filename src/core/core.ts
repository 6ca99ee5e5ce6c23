/** Composes the core's parts. Called by `main`, and by tests with fakes of the ports. */
import { EventBus } from './events/bus.ts';
import { fencedStore } from './hosts/fence.ts';
import { ImageOperations } from './images/operations.ts';
import { ImageService, importTimeoutMsDefault } from './images/service.ts';
import { ImportTurns, type TurnTimeouts } from './images/turns.ts';
import { MachineActions } from './machines/actions.ts';
import type { Capacity } from './machines/capacity.ts';
import { Keeper } from './machines/keeper.ts';
import { MachineOperations } from './machines/machine-operations.ts';
import { MachineService } from './machines/service.ts';
import type { MachineDefaults } from './machines/spec.ts';
import type { Edges } from './machines/steps/context.ts';
import { Supervisor } from './machines/supervisor.ts';
import type { Owner } from './operations/operation.ts';
import { OperationRunner, type RunnerHooks } from './operations/runner.ts';
import { OperationService } from './operations/service.ts';
import type { ImageLibrary } from './ports/images.ts';
import type { HostClaim, Store } from './ports/store.ts';
import { Reconciler } from './reconcile/reconciler.ts';

/** Interval of the image collection. Set-up replaces images only with updates, some days apart. */
const collectMs = 6 * 60 * 60_000;

export interface CoreDeps {
  /** Not fenced yet. */
  readonly store: Store;
  readonly edges: Edges;
  readonly images: ImageLibrary;
  readonly defaults: MachineDefaults;
  readonly capacity: Capacity;
  /** Limit of concurrent starts. */
  readonly startsMax: number;
  readonly hostId: string;
  /** The current boot of this host. */
  readonly bootId: string;
  /** See HostClaim. */
  readonly bootIdBefore?: string | null;
  /** See HostClaim. */
  readonly epochBefore?: number;
  /** See HostClaim. */
  readonly unowned?: HostClaim['unowned'];
  readonly bootTimeoutMs?: number | undefined;
  /** See ReconcilerDeps. */
  readonly quarantineDays?: number;
  /** For tests; see `importTimeoutMsDefault`. */
  readonly importTimeoutMs?: number | undefined;
  /** For tests. */
  readonly turnTimeouts?: TurnTimeouts | undefined;
  /** For proofs only. */
  readonly hooks?: RunnerHooks | undefined;
}

export interface Core {
  readonly owner: Owner;
  readonly bus: EventBus;
  readonly machines: MachineService;
  readonly imageService: ImageService;
  readonly operations: OperationService;
  readonly supervisor: Supervisor;
  readonly reconciler: Reconciler;
  readonly keeper: Keeper;
  /** Ends streams and interrupts operations, which stay open for the next daemon. Machines keep running. */
  interrupt(): Promise<void>;
  close(): Promise<void>;
}

/** Claims the host; from then on, an earlier daemon of the host can write nothing. */
export async function createCore(deps: CoreDeps): Promise<Core> {
  const { edges, images, defaults, capacity, hostId, bootId } = deps;
  const { bootIdBefore = null, epochBefore = 0, unowned = [] } = deps;
  const at = edges.clock.now().toISOString();
  const epoch = await deps.store.hosts.claim({ hostId, bootIdBefore, epochBefore, unowned, at });
  const owner: Owner = { hostId, epoch, bootId };
  const store = fencedStore(deps.store, owner);
  const bus = await EventBus.open({ store, log: edges.log });
  const runner = new OperationRunner({
    store,
    owner,
    clock: edges.clock,
    log: edges.log,
    hooks: deps.hooks,
    onLeftUndone: () => reconciler.nudge(),
  });
  const { startsMax, bootTimeoutMs } = deps;
  const machineOperations = new MachineOperations({
    ...{ store, runner, owner, edges, capacity, startsMax, bootTimeoutMs },
  });
  const turns = new ImportTurns(deps.turnTimeouts);
  const { importTimeoutMs = importTimeoutMsDefault } = deps;
  const imageOperations = new ImageOperations({ images, turns, importTimeoutMs });
  const { definitions } = imageOperations;
  const supervisor = new Supervisor({ store, runner, owner, edges, machineOperations, definitions });
  const actions = new MachineActions({ store, edges, runner, machineOperations, supervisor });
  const common = { store, bus, edges, runner, machineOperations, actions, capacity };
  const machines = new MachineService({ ...common, defaults });
  const keeper = new Keeper(common);
  const imageService = new ImageService({
    images,
    store,
    records: edges.records,
    hostId,
    runner,
    operations: imageOperations,
    turns,
    log: edges.log,
  });
  const reconciler = new Reconciler({
    store,
    edges,
    supervisor,
    owner,
    ...(deps.quarantineDays === undefined ? {} : { quarantineDays: deps.quarantineDays }),
  });
  const stopCollecting = edges.clock.every(collectMs, async () => {
    const removed = await imageService.collect();
    if (removed.length > 0) edges.log.info({ removed }, 'unused images and kernels removed');
  });
  const interrupt = async () => {
    stopCollecting();
    keeper.close();
    machines.close();
    await supervisor.close();
    await keeper.settled();
  };
  return {
    owner,
    bus,
    machines,
    imageService,
    operations: new OperationService(store),
    supervisor,
    reconciler,
    keeper,
    interrupt,
    async close() {
      await reconciler.close();
      await interrupt();
      await bus.close();
    },
  };
}

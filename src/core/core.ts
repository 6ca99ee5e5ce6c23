/** Composes the core's parts. Called by `main`, and by tests with fakes of the ports. */
import { CommandService } from './commands/service.ts';
import { ConnectionService } from './connections/service.ts';
import { EnvironmentKeeper } from './environments/keeper.ts';
import { lifetimeSecondsDefault } from './environments/lifetime.ts';
import { Members } from './environments/members.ts';
import { asOperationDefinitions, environmentDefinitions } from './environments/operations.ts';
import { EnvironmentService } from './environments/service.ts';
import { EventBus } from './events/bus.ts';
import { FileService } from './files/service.ts';
import { fencedStore } from './hosts/fence.ts';
import { HostService } from './hosts/service.ts';
import type { ImageAlias } from './images/aliases.ts';
import { ImageOperations } from './images/operations.ts';
import { ImageResolver } from './images/resolver.ts';
import { ImageService, importTimeoutMsDefault } from './images/service.ts';
import { ImportTurns, type TurnTimeouts } from './images/turns.ts';
import { MachineActions } from './machines/actions.ts';
import { Activity } from './machines/activity.ts';
import type { Capacity } from './machines/capacity.ts';
import { MachineCreation } from './machines/creation.ts';
import { IdleKeeper } from './machines/idle-keeper.ts';
import { Keeper } from './machines/keeper.ts';
import { MachineOperations } from './machines/machine-operations.ts';
import { MachineService } from './machines/service.ts';
import type { MachineDefaults } from './machines/spec.ts';
import type { Edges } from './machines/steps/context.ts';
import { Supervisor } from './machines/supervisor.ts';
import { Waking } from './machines/waking.ts';
import { type HostPortRange, portRangeDefault } from './network/allocation.ts';
import { MachineNetworks } from './network/networks.ts';
import { NetworkService } from './network/service.ts';
import type { Owner } from './operations/operation.ts';
import { OperationRunner, type RunnerHooks } from './operations/runner.ts';
import { OperationService } from './operations/service.ts';
import type { ImageLibrary } from './ports/images.ts';
import type { ScriptEngine } from './ports/scripts.ts';
import type { HostClaim, Store } from './ports/store.ts';
import { noLimits, type QuotaLimits } from './quotas/quota.ts';
import { QuotaService } from './quotas/service.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { Reach } from './routes/reach.ts';
import { RouteService } from './routes/service.ts';
import { ScriptService } from './scripts/service.ts';
import {
  asOperationDefinitions as asSnapshotOperations,
  snapshotDefinitions,
} from './snapshots/operations.ts';
import { SnapshotService } from './snapshots/service.ts';
import { MachineSshPorts, sshPortRangeDefault } from './ssh/machine-ports.ts';
import { TemplateService } from './templates/service.ts';

/** For the files of snapshots. */
const collectTimeoutMs = 10 * 60_000;
/** Interval of the image collection. Set-up replaces images only with updates, some days apart. */
const collectMs = 6 * 60 * 60_000;

export interface CoreDeps {
  /** Not fenced yet. */
  readonly store: Store;
  readonly edges: Edges;
  readonly images: ImageLibrary;
  /** Runs Rhai scripts on the host. Null or absent: refused. */
  readonly scriptEngine?: ScriptEngine | null;
  readonly defaults: MachineDefaults;
  /** See FLOTILLA_IMAGE_ALIASES. */
  readonly imageAliases?: readonly ImageAlias[] | undefined;
  readonly capacity: Capacity;
  /** For tenants without a quota of their own; absent: no limits. */
  readonly quotas?: QuotaLimits | undefined;
  /** Limit of concurrent starts. */
  readonly startsMax: number;
  /** Processors of the host; default: as many as starts. */
  readonly processorCount?: number;
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
  /** The longest lifetime of an environment. */
  readonly lifetimeSecondsMax?: number | undefined;
  /** How many snapshots each machine may have; null or absent: any number. */
  readonly snapshotsPerMachine?: number | null | undefined;
  /** See ReconcilerDeps. */
  readonly quarantineDays?: number;
  /** See FLOTILLA_PORT_RANGE. */
  readonly portRange?: HostPortRange | undefined;
  /** See FLOTILLA_SSH_PORTS; null: there is no gateway. */
  readonly sshPortRange?: HostPortRange | null | undefined;
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
  readonly environments: EnvironmentService;
  readonly files: FileService;
  readonly commands: CommandService;
  readonly connections: ConnectionService;
  readonly waking: Waking;
  readonly reach: Reach;
  readonly network: NetworkService;
  readonly networks: MachineNetworks;
  readonly sshPorts: MachineSshPorts;
  readonly routes: RouteService;
  readonly imageService: ImageService;
  readonly scripts: ScriptService;
  readonly templates: TemplateService;
  readonly snapshots: SnapshotService;
  readonly hosts: HostService;
  readonly operations: OperationService;
  readonly quotas: QuotaService;
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
  const networks = new MachineNetworks({
    ...{ store, network: edges.network, guest: edges.guest, clock: edges.clock, log: edges.log },
  });
  const machineOperations = new MachineOperations({
    ...{ store, runner, owner, edges, networks, capacity, startsMax, bootTimeoutMs },
  });
  const turns = new ImportTurns(deps.turnTimeouts);
  const { importTimeoutMs = importTimeoutMsDefault } = deps;
  const imageOperations = new ImageOperations({ images, turns, importTimeoutMs });
  const definitions = () => ({
    ...imageOperations.definitions,
    ...asOperationDefinitions(environmentOperations),
    ...asSnapshotOperations(snapshotOperations),
  });
  const snapshotOperations = snapshotDefinitions(edges);
  const supervisor = new Supervisor({ store, runner, owner, edges, machineOperations, definitions });
  const actions = new MachineActions({ store, edges, runner, machineOperations, supervisor });
  const activity = new Activity(edges.clock);
  const common = { store, bus, edges, runner, machineOperations, actions, capacity, activity };
  const { quotas: quotaDefaults = noLimits } = deps;
  const references = { aliases: deps.imageAliases ?? [], defaultImage: defaults.image };
  const resolver = new ImageResolver(images, references);
  const { portRange = portRangeDefault, sshPortRange = sshPortRangeDefault } = deps;
  const allocation = { facts: edges.network.facts, portRange, sshPortRange };
  const sshPorts = new MachineSshPorts({ store, clock: edges.clock, log: edges.log, hostId });
  const creation = new MachineCreation({
    store,
    edges,
    machineOperations,
    resolver,
    defaults,
    quotas: quotaDefaults,
    allocation,
  });
  const network = new NetworkService({
    ...{ store, edges, machineOperations, networks, allocation },
    onBehind: () => reconciler.nudge(),
  });
  const machines = new MachineService({
    ...{ ...common, creation, quotas: quotaDefaults, allocation, network, sshPorts },
  });
  const snapshots = new SnapshotService({
    ...{ store, edges, runner, machineOperations, actions, creation, machines, capacity },
    quotas: quotaDefaults,
    perMachine: deps.snapshotsPerMachine ?? null,
    definitions: snapshotOperations,
  });
  const members = new Members({ store, machines, supervisor });
  const environmentOperations = environmentDefinitions({ store, members });
  const { lifetimeSecondsMax = lifetimeSecondsDefault } = deps;
  const environments = new EnvironmentService({
    ...{ store, edges, runner, owner, supervisor, creation, capacity, lifetimeSecondsMax },
    definitions: environmentOperations,
  });
  const environmentKeeper = new EnvironmentKeeper({ store, edges, hostId, environments });
  const idleKeeper = new IdleKeeper({ store, edges, machineOperations, actions, activity });
  const waking = new Waking({ store, bus, activity, machines, machineOperations });
  const connections = new ConnectionService({ store, edges, machineOperations, activity });
  edges.network.connectBy((...given) => connections.connectPublished(...given));
  const keeper = new Keeper({ ...common, others: [environmentKeeper, idleKeeper] });
  const imageService = new ImageService({
    images,
    resolver,
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
    networks,
    owner,
    ...(deps.quarantineDays === undefined ? {} : { quarantineDays: deps.quarantineDays }),
  });
  const stopCollecting = edges.clock.every(collectMs, async () => {
    await snapshots.collect(AbortSignal.timeout(collectTimeoutMs));
    const removed = await imageService.collect();
    if (removed.length > 0) edges.log.info({ removed }, 'unused images and kernels removed');
  });
  const interrupt = async () => {
    stopCollecting();
    keeper.close();
    waking.close();
    machines.close();
    await supervisor.close();
    await keeper.settled();
  };
  return {
    owner,
    bus,
    machines,
    waking,
    environments,
    files: new FileService({ store, edges, machineOperations, activity }),
    connections,
    reach: new Reach({ store, waking, connections }),
    network,
    networks,
    sshPorts,
    routes: new RouteService({ store, clock: edges.clock }),
    commands: new CommandService({
      ...{ store, edges, machineOperations, activity },
      exec: (...given) => machines.exec(...given),
    }),
    imageService,
    scripts: new ScriptService({ machines, engine: deps.scriptEngine ?? null, clock: edges.clock }),
    templates: new TemplateService({ store, resolver, clock: edges.clock }),
    snapshots,
    hosts: new HostService({
      store,
      edges,
      hostId,
      capacity,
      processorCount: deps.processorCount ?? startsMax,
    }),
    operations: new OperationService(store),
    quotas: new QuotaService({ store, clock: edges.clock, defaults: quotaDefaults }),
    supervisor,
    reconciler,
    keeper,
    interrupt,
    async close() {
      await sshPorts.close();
      await reconciler.close();
      await interrupt();
      await bus.close();
    },
  };
}

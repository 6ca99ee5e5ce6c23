/** Hatch's operations on core's services, in its words. Knows nothing of requests and answers. */
import { AppError } from '../../../core/errors.ts';
import { type Caller, hasScope } from '../../../core/keys/caller.ts';
import { launchMachine } from '../../../core/machines/launch.ts';
import { stateConflict } from '../../../core/machines/lookup.ts';
import type { ListedMachine, Machine } from '../../../core/machines/machine.ts';
import type { MachineService } from '../../../core/machines/service.ts';
import { decide } from '../../../core/machines/states.ts';
import type { RouteService } from '../../../core/routes/service.ts';
import { type SnapshotService, snapshotsMax } from '../../../core/snapshots/service.ts';
import { shortId } from '../../../lib/ids.ts';
import type { HttpDeps } from '../../context.ts';
import type * as schema from './schema.ts';
import * as translate from './translate.ts';

const pageMax = 1000;
/** Snapshots that this API made. It cannot delete them, so they go with their VM. */
const ownLabels = { 'made-by': 'hatch' };

export class VmService {
  readonly #machines: MachineService;
  readonly #snapshots: SnapshotService;
  readonly #routes: RouteService;
  readonly #idleSeconds: number | null;
  readonly #log: HttpDeps['log'];

  constructor(deps: Pick<HttpDeps, 'machines' | 'snapshots' | 'routes' | 'hatchIdleSeconds' | 'log'>) {
    this.#machines = deps.machines;
    this.#snapshots = deps.snapshots;
    this.#routes = deps.routes;
    this.#idleSeconds = deps.hatchIdleSeconds ?? null;
    this.#log = deps.log;
  }

  find({ tenant }: Caller, text: string): Promise<Machine> {
    return this.#machines.get(tenant, text);
  }

  /** Raises `engine` when it does not boot; then nothing of it is left. */
  async create(caller: Caller, body: schema.CreateBody): Promise<schema.VmBody> {
    const { hasSshPorts } = this.#machines;
    const { image } = this.#machines.defaults;
    const request = translate.toCreateRequest(body, `hatch-${shortId()}`, { image, hasSshPorts });
    const launched = launchMachine(this.#machines, caller.tenant, request, caller);
    const machine = await launched.catch((error: unknown) => {
      throw inWords(error);
    });
    const note = translate.networkNote(this.#machines.networkOf(machine));
    return { ...this.#shown(caller, machine), ...(note === null ? {} : { network_note: note }) };
  }

  /** All of the tenant's, newest first. */
  async list({ tenant }: Caller): Promise<schema.VmBody[]> {
    const found: ListedMachine[] = [];
    for (;;) {
      const { machines, total } = await this.#machines.list({ tenant, limit: pageMax, offset: found.length });
      found.push(...machines);
      if (machines.length === 0 || found.length >= total) break;
    }
    const { image } = this.#machines.defaults;
    return found.map((machine) => translate.toListedVm(machine, image));
  }

  /** Of all tenants. */
  async count(): Promise<number> {
    return (await this.#machines.list({ limit: 1, offset: 0 })).total;
  }

  async get(caller: Caller, text: string): Promise<schema.VmBody> {
    return this.#shown(caller, await this.find(caller, text));
  }

  async stop(caller: Caller, text: string): Promise<schema.VmBody> {
    const found = await this.find(caller, text);
    // A stop would lose its memory.
    if (found.state === 'suspended') throw mustBe('running', found);
    const { machine } = await this.#machines.stop(caller.tenant, found.id, { isIdempotent: true });
    return this.#shown(caller, machine);
  }

  /** Also deletes the snapshots that this API made of it. */
  async delete(caller: Caller, text: string): Promise<void> {
    const { tenant } = caller;
    const { id } = await this.find(caller, text);
    const { snapshots } = await this.#snapshotsOf(tenant, id);
    await this.#machines.delete(tenant, id, { force: true });
    const own = snapshots.filter(({ labels }) => labels['made-by'] === ownLabels['made-by']);
    for (const snapshot of own)
      await this.#snapshots.delete(tenant, snapshot.id).catch((error: unknown) => {
        // A machine that is being made from it needs it.
        this.#log.warn(
          { snapshot: snapshot.id, machine: id, err: error },
          'snapshot of a deleted vm not removed',
        );
      });
  }

  /** Afterwards the VM is suspended. Raises `conflict` unless it runs; when no snapshot can be made, it goes on. */
  async snapshot(caller: Caller, text: string): Promise<schema.SnapshotBody> {
    const { tenant } = caller;
    const machine = await this.running(caller, text);
    await this.#snapshots.requireRoom(machine);
    // First, so that the snapshot is of what a restore continues.
    await this.#machines.suspend(tenant, machine.id);
    try {
      const snapshot = await this.#snapshots.create(tenant, machine.id, { labels: ownLabels });
      return translate.toSnapshotBody(snapshot, this.#machines.defaults.image);
    } catch (error) {
      await this.#machines.start(tenant, machine.id, { isIdempotent: true }).catch((startError: unknown) => {
        // It stays suspended, which loses nothing; the answer is why there is no snapshot.
        this.#log.warn({ machine: machine.id, err: startError }, 'vm without a snapshot not continued');
      });
      throw error;
    }
  }

  /** Raises `conflict` unless it is suspended. */
  async restore(caller: Caller, text: string): Promise<schema.VmBody> {
    const found = await this.find(caller, text);
    if (found.state !== 'suspended') throw mustBe('snapshotted', found);
    const { machine } = await this.#machines.start(caller.tenant, found.id, { isIdempotent: true });
    return this.#shown(caller, machine);
  }

  /** Newest first. */
  async snapshots(caller: Caller, text: string): Promise<schema.SnapshotBody[]> {
    const { id } = await this.find(caller, text);
    const { snapshots } = await this.#snapshotsOf(caller.tenant, id);
    const { image } = this.#machines.defaults;
    return snapshots
      .filter(({ state }) => state === 'ready')
      .map((snapshot) => translate.toSnapshotBody(snapshot, image));
  }

  /** A VM with routes is suspended when nobody has used it for a while, unless it has another idle policy. */
  async restWhenIdle({ tenant }: Caller, id: string): Promise<void> {
    const afterSeconds = this.#idleSeconds;
    if (afterSeconds === null) return;
    const { total } = await this.#routes.list(tenant, { machine: id, limit: 1, offset: 0 });
    const { idle } = (await this.#machines.get(tenant, id)).spec;
    const isOurs = idle?.action === 'suspend' && idle.afterSeconds === afterSeconds;
    if (total > 0 ? idle !== null : !isOurs) return;
    await this.#machines.update(tenant, id, { idle: total > 0 ? { afterSeconds, action: 'suspend' } : null });
  }

  async metrics(caller: Caller, text: string, signal: AbortSignal): Promise<schema.MetricsBody> {
    const machine = await this.find(caller, text);
    return translate.toMetricsBody(machine, await this.#machines.measure(machine, signal));
  }

  /** Raises `conflict` unless it runs. */
  async running(caller: Caller, text: string): Promise<Machine> {
    const machine = await this.find(caller, text);
    if (decide('exec', machine.state).verdict !== 'accept') throw stateConflict('exec', machine);
    return machine;
  }

  /** A VM that a client can enter at its SSH port. Raises `conflict` unless it runs and has one. */
  async connectable(caller: Caller, text: string): Promise<{ readonly id: string; readonly port: number }> {
    const { id, spec } = await this.running(caller, text);
    if (spec.sshPort !== null) return { id, port: spec.sshPort };
    throw new AppError('conflict', 'vm has no SSH port (network not enabled)');
  }

  #snapshotsOf(tenant: string, machine: string) {
    return this.#snapshots.list(tenant, { machine, limit: snapshotsMax, offset: 0 });
  }

  #shown(caller: Caller, machine: Machine): schema.VmBody {
    return translate.toVmBody(machine, this.#machines.defaults.image, {
      isOperator: caller.isOperator,
      canExec: hasScope(caller, 'machines:exec'),
    });
  }
}

function mustBe(word: schema.VmState, { state }: Machine): AppError {
  return new AppError('conflict', `vm is ${translate.stateWord(state)}, must be ${word}`);
}

/** Hatch answers a wrong image or template as a wrong request, and a guest that does not boot as the server's failure. */
function inWords(error: unknown): unknown {
  if (!(error instanceof AppError)) return error;
  if (error.code === 'not_found') {
    const isTemplate = error.details !== undefined && 'template' in error.details;
    return again('invalid', isTemplate ? 'template not found' : error.message, error);
  }
  if (error.code === 'guest' || error.code === 'timeout')
    return again('engine', `the vm did not boot: ${error.message}`, error);
  return error;
}

/** The same error in other words. */
export function again(code: AppError['code'], message: string, error: AppError): AppError {
  return new AppError(code, message, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

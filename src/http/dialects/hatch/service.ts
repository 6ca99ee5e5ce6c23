/** Hatch's operations on core's services, in its words. Knows nothing of requests and answers. */
import { AppError } from '../../../core/errors.ts';
import { type Caller, hasScope } from '../../../core/keys/caller.ts';
import { launchMachine } from '../../../core/machines/launch.ts';
import { stateConflict } from '../../../core/machines/lookup.ts';
import type { ListedMachine, Machine } from '../../../core/machines/machine.ts';
import type { MachineService } from '../../../core/machines/service.ts';
import { decide } from '../../../core/machines/states.ts';
import { shortId } from '../../../lib/ids.ts';
import type * as schema from './schema.ts';
import * as translate from './translate.ts';

const pageMax = 1000;

export class VmService {
  readonly #machines: MachineService;

  constructor(machines: MachineService) {
    this.#machines = machines;
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
    const { id, state } = await this.find(caller, text);
    // Hatch shows a suspended machine as stopped, and a stop of a stopped one changes nothing.
    const act = decide('suspend', state).verdict === 'ignore' ? 'suspend' : 'stop';
    const { machine } = await this.#machines[act](caller.tenant, id, { isIdempotent: true });
    return this.#shown(caller, machine);
  }

  async delete(caller: Caller, text: string): Promise<void> {
    const { id } = await this.find(caller, text);
    await this.#machines.delete(caller.tenant, id, { force: true });
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

  #shown(caller: Caller, machine: Machine): schema.VmBody {
    return translate.toVmBody(machine, this.#machines.defaults.image, {
      isOperator: caller.isOperator,
      canExec: hasScope(caller, 'machines:exec'),
    });
  }
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

/**
 * HyperMachine's operations on core's services, in its words: what the routes, the tools of agents and their
 * plans do. Knows nothing of requests and answers.
 */
import type { Caller } from '../../../core/keys/caller.ts';
import { stateConflict } from '../../../core/machines/lookup.ts';
import type { Machine } from '../../../core/machines/machine.ts';
import type { MachineService } from '../../../core/machines/service.ts';
import { uptimeMs } from '../../../core/machines/usage.ts';
import { type ScriptOrder, type ScriptService, scriptOutputBytesMax } from '../../../core/scripts/service.ts';
import * as schema from './schema.ts';
import * as translate from './translate.ts';

export interface VmDeps {
  readonly machines: MachineService;
  readonly scripts: ScriptService;
}

export interface VmListRequest {
  readonly state?: schema.VmState | undefined;
  readonly limit: number;
  readonly offset: number;
}

export class VmService {
  readonly #machines: MachineService;
  readonly #scripts: ScriptService;

  constructor({ machines, scripts }: VmDeps) {
    this.#machines = machines;
    this.#scripts = scripts;
  }

  find(caller: Caller, text: string): Promise<Machine> {
    return this.#machines.get(caller.tenant, text);
  }

  /** A signal cancels it; see `MachineService.create`. */
  async create(caller: Caller, body: schema.CreateBody, signal?: AbortSignal): Promise<schema.CreatedBody> {
    const request = translate.toCreateRequest(body);
    const machine = await this.#machines.create(caller.tenant, request, caller, signal);
    const { network, facts } = this.#machines.networkOf(machine);
    const isAlone = facts.kind === 'user' && network.mode === 'nat';
    return translate.toCreatedBody(
      machine,
      isAlone ? [`network: it reaches nothing on this host: ${facts.reason}`] : [],
    );
  }

  async list(caller: Caller, { state, limit, offset }: VmListRequest) {
    const size = Math.min(limit, schema.pageLimitMax);
    const { machines, total } = await this.#machines.list({
      ...{ tenant: caller.tenant, limit: size, offset },
      ...(state === undefined ? {} : { states: translate.statesOf(state) }),
    });
    const vms = machines.map(translate.toSummary);
    return { vms, total, offset, limit: size, has_more: offset + vms.length < total };
  }

  async get(caller: Caller, text: string): Promise<schema.VmBody> {
    const machine = await this.find(caller, text);
    return translate.toVmBody(machine, uptimeMs(machine, new Date()));
  }

  /** A signal cancels a start or resume; other actions go on. */
  async act(
    caller: Caller,
    text: string,
    action: schema.VmAction,
    signal?: AbortSignal,
  ): Promise<schema.ActionBody> {
    const { id } = await this.find(caller, text);
    const isCancellable = action === 'start' || action === 'resume';
    const result = isCancellable
      ? await this.#machines[action](caller.tenant, id, { signal })
      : await this.#machines[action](caller.tenant, id);
    if (result.verdict === 'ignored') throw stateConflict(action, result.machine);
    const state = translate.stateWord(result.machine.state);
    return { id: translate.vmId({ id }), operation: action, success: true, new_state: state, state };
  }

  async delete(caller: Caller, text: string) {
    const { id } = await this.find(caller, text);
    const { verdict, machine } = await this.#machines.delete(caller.tenant, id, { force: false });
    if (verdict === 'ignored') throw stateConflict('delete', machine);
    return { id: translate.vmId({ id }), deleted: true as const };
  }

  async metrics(caller: Caller, text: string, signal: AbortSignal): Promise<schema.MetricsBody> {
    const machine = await this.find(caller, text);
    return this.#measured(machine, signal);
  }

  /** `reserve` charges the caller for the memory of its output. */
  async script(
    caller: Caller,
    text: string,
    body: schema.ScriptBody,
    reserve: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<schema.ScriptResultBody> {
    const machine = await this.find(caller, text);
    const order = translate.toScriptOrder(body, machine);
    reserve(2 * scriptOutputBytesMax);
    const functions = order.language === 'rhai' ? await this.#functionsFor(machine, signal) : {};
    const run = await this.#scripts.run(caller.tenant, machine.id, { ...order, functions }, signal);
    return translate.toScriptResult(machine, run);
  }

  /** The functions that HyperMachine documents for Rhai scripts and that change nothing. */
  async #functionsFor(machine: Machine, signal: AbortSignal): Promise<NonNullable<ScriptOrder['functions']>> {
    return {
      vm_status: translate.stateWord(machine.state),
      get_metrics: { ...(await this.#measured(machine, signal)) },
    };
  }

  async #measured(machine: Machine, signal: AbortSignal): Promise<schema.MetricsBody> {
    const [usage, network] = await Promise.all([
      this.#machines.measure(machine, signal),
      this.#machines.networkUsage(machine, signal),
    ]);
    return translate.toMetricsBody(machine, usage, network);
  }
}

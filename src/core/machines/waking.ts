/**
 * Wakes machines that are needed: resumes paused ones and starts stopped ones, once for all who wait. Called for
 * requests that arrive through the proxy or over SSH; knows neither. A machine that it returns is held, so that its
 * idle policy does not act until the caller releases it.
 */
import { abortable, deadline } from '../../lib/abort.ts';
import { AppError, isAppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import type { Store } from '../ports/store.ts';
import type { Activity } from './activity.ts';
import { findMachine, machineNotFound, stateConflict } from './lookup.ts';
import type { Machine } from './machine.ts';
import type { MachineOperations } from './machine-operations.ts';
import type { MachineService } from './service.ts';
import { stableStates } from './states.ts';
import { waitForState } from './wait.ts';

export interface WakingDeps {
  readonly store: Store;
  readonly bus: EventBus;
  readonly activity: Activity;
  readonly machines: Pick<MachineService, 'start' | 'resume'>;
  readonly machineOperations: Pick<MachineOperations, 'requireHere'>;
}

export interface WakeRequest {
  readonly tenant: string;
  /** Id or name. */
  readonly machine: string;
  /** False: only waits for what is under way. The machine's own `autoWake` can forbid it as well. Default: true. */
  readonly isToWake?: boolean;
  /** The longest wait of this caller. The start goes on without it. */
  readonly timeoutMs: number;
  /** Read only when the caller has to wait, so that it may be made then. */
  readonly signal: AbortSignal;
}

/** A running machine that does not rest until `release` is called; calling that twice is safe. */
export interface AwakeMachine {
  readonly machine: Machine;
  readonly release: () => void;
}

/** One machine's transitions in a row: more mean that others keep changing it. */
const attemptsMax = 10;
/** Limit of a wait for an operation that somebody else has begun; operations have their own. */
const transitMs = 10 * 60_000;

export class Waking {
  readonly #deps: WakingDeps;
  /** By machine: what all its callers wait for. */
  readonly #wakes = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(deps: WakingDeps) {
    this.#deps = deps;
  }

  /**
   * Raises `not_found`; `conflict` when the machine does not run and may not be woken, or has failed (`details.state` says
   * which); `timeout` when it is not awake in time, while the start goes on; and the errors of a start, such as
   * `exhausted`, to all who wait.
   */
  async ensureAwake(request: WakeRequest): Promise<AwakeMachine> {
    const { id } = await findMachine(this.#deps.store, request.tenant, request.machine);
    return this.ensureAwakeById(id, request);
  }

  /** The same for a machine whose id and tenant the caller has read. */
  async ensureAwakeById(id: string, request: WakeRequest): Promise<AwakeMachine> {
    const { store, activity, machineOperations } = this.#deps;
    // Held before its state is read; see Activity.
    const release = activity.hold(id);
    try {
      const resting = activity.resting(id);
      if (resting !== null) await resting;
      const machine = await store.machines.get(id);
      if (machine === null) throw machineNotFound(id);
      machineOperations.requireHere(machine);
      if (machine.state === 'running') return { machine, release };
      return { machine: await this.#woken(id, request), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  close(): void {
    this.#closing.abort(new AppError('unavailable', 'the daemon shuts down'));
  }

  async #woken(id: string, { isToWake = true, timeoutMs, signal }: WakeRequest): Promise<Machine> {
    const limit = deadline(timeoutMs, () => late(id, timeoutMs), signal);
    try {
      for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
        const machine = await this.#deps.store.machines.get(id);
        if (machine === null) throw machineNotFound(id);
        if (machine.state === 'running') return machine;
        await abortable(this.#shared(machine, isToWake), limit.signal);
      }
      throw new AppError('unavailable', `machine ${id} is busy`, { hint: 'Try again in a moment.' });
    } finally {
      limit.clear();
    }
  }

  /** One step towards running, shared by all callers who may cause it. */
  #shared(machine: Machine, isToWake: boolean): Promise<void> {
    const canWake = isToWake && machine.spec.autoWake;
    const key = `${machine.id} ${canWake}`;
    const known = this.#wakes.get(key);
    if (known !== undefined) return known;
    const step = this.#step(machine, canWake).finally(() => this.#wakes.delete(key));
    this.#wakes.set(key, step);
    return step;
  }

  async #step(machine: Machine, canWake: boolean): Promise<void> {
    const { id, tenant, state } = machine;
    const { machines } = this.#deps;
    try {
      switch (state) {
        case 'running':
          return;
        case 'created':
        case 'suspended':
        case 'stopped':
          if (!canWake) throw asleep(machine);
          return void (await machines.start(tenant, id, { isIdempotent: true }));
        case 'paused':
          if (!canWake) throw asleep(machine);
          return void (await machines.resume(tenant, id, { isIdempotent: true }));
        case 'failed':
          // With a restart to come it is waited for; else this raises the reason.
          return void (await this.#wait(id, ['running']));
        case 'deleting':
        case 'deleted':
          throw stateConflict('exec', machine);
        default:
          return void (await this.#wait(id, stableStates));
      }
    } catch (error) {
      // Somebody has changed the machine since it was read: look again.
      if (!isAppError(error, 'conflict')) throw error;
      const now = await this.#deps.store.machines.get(id);
      if (now === null || now.state === state || now.state === 'failed') throw error;
    }
  }

  #wait(machineId: string, states: Parameters<typeof waitForState>[2]['states']): Promise<Machine> {
    const { store, bus } = this.#deps;
    return waitForState(store, bus, { machineId, states, timeoutMs: transitMs }, this.#closing.signal);
  }
}

function asleep({ id, state, spec }: Machine): AppError {
  const word = state === 'created' ? 'not started' : state;
  return new AppError('conflict', `machine ${id} is ${word}`, {
    details: { action: 'wake', state },
    hint: spec.autoWake
      ? 'Start or resume it; this way of reaching it does not.'
      : 'Start or resume it, or let requests do so: flotilla update --auto-wake.',
  });
}

function late(id: string, timeoutMs: number): AppError {
  return new AppError('timeout', `machine ${id} was not awake within ${timeoutMs / 1000} s`, {
    isPassing: true,
    hint: 'It is on its way; try again in a moment.',
  });
}

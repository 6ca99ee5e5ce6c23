/**
 * Ports of the host at which SSH clients enter one machine each. The ports are allocations and part of the machine's spec; the
 * gateway's listeners follow the records, here. Used by the services of machines, and opened by `main` with the gateway.
 */
import { KeyedLock } from '../../lib/keyed-lock.ts';
import type { Logger } from '../../lib/log.ts';
import { AppError } from '../errors.ts';
import type { EventBus } from '../events/bus.ts';
import type { Event } from '../events/event.ts';
import type { Machine } from '../machines/machine.ts';
import { type HostPortRange, takeFree } from '../network/allocation.ts';
import { type Owner, takeCertain } from '../network/take.ts';
import type { Clock } from '../ports/clock.ts';
import type { Network } from '../ports/network.ts';
import type { Repositories, Store } from '../ports/store.ts';

export const sshPortRangeDefault: HostPortRange = { first: 16_000, last: 26_000 };

/** A certain port, any free one, or none. */
export type SshPortRequest = number | 'any' | null;

/** After a port could not be opened. */
const retryMs = 30_000;

/** The gateway's listeners for single machines. */
export interface PortListeners {
  /** Raises `unavailable` when a program of the host has the port. */
  listen(machineId: string, port: number): Promise<void>;
  /** New clients are not accepted; those who are connected stay. Idempotent. */
  stop(machineId: string): void;
}

/** Whether SSH clients enter a machine at its port now. */
export interface SshPortState {
  readonly port: number;
  readonly isOpen: boolean;
  /** Why it is not open; it is tried again and again. */
  readonly reason: string | null;
}

export interface MachineSshPortsDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly hostId: string;
}

/** Ports on which programs of the host listen, for the functions below. */
export async function inspectSshPorts(
  network: Pick<Network, 'busyPorts'>,
  asked: SshPortRequest | undefined,
  signal: AbortSignal,
): Promise<ReadonlySet<number>> {
  return asked == null ? new Set() : (await network.busyPorts(signal)).tcp;
}

/** Raises `unsupported` without a gateway, `invalid` outside of the range, `conflict` when it is taken, `exhausted`. */
export async function allocateSshPort(
  tx: Repositories,
  asked: SshPortRequest,
  owner: Owner,
  range: HostPortRange | null,
  busy: ReadonlySet<number>,
): Promise<number | null> {
  if (asked === null) return null;
  if (range === null) {
    throw new AppError('unsupported', 'the SSH gateway does not listen on this host', {
      hint: 'Set FLOTILLA_SSH_PORT and restart the daemon.',
    });
  }
  const { first: min, last: max } = range;
  const request = { ...owner, kind: 'tcp_port' } as const;
  if (asked === 'any') return takeFree(tx, { ...request, min, max }, busy);
  if (asked < min || asked > max) {
    throw new AppError('invalid', `ssh_port must be between ${min} and ${max}`, {
      hint: 'Ask for 0 to get a free one; FLOTILLA_SSH_PORTS is the range.',
    });
  }
  if (busy.has(asked)) throw new AppError('conflict', `a program of the host listens on tcp port ${asked}`);
  await takeCertain(tx, request, asked, `tcp port ${asked} of the host`);
  return asked;
}

/** Returns the machine's port after the change. Raises as `allocateSshPort` does. */
export async function changeSshPort(
  tx: Repositories,
  { id, hostId, spec: { sshPort: before } }: Machine,
  asked: SshPortRequest,
  at: string,
  range: HostPortRange | null,
  busy: ReadonlySet<number>,
): Promise<number | null> {
  if (asked === before || (asked === 'any' && before !== null)) return before;
  const owner = { kind: 'machine', id } as const;
  if (before !== null) await tx.allocations.release(hostId, owner, 'tcp_port', before);
  return allocateSshPort(tx, asked, { hostId, owner, at }, range, busy);
}

export class MachineSshPorts {
  readonly #deps: MachineSshPortsDeps;
  readonly #lock = new KeyedLock();
  /** By machine: the port that is open. */
  readonly #open = new Map<string, number>();
  /** By machine: why its port could not be opened. */
  readonly #reasons = new Map<string, string>();
  /** Machines whose port is tried again later. */
  readonly #retried = new Set<string>();
  readonly #underWay = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #listeners: PortListeners | null = null;

  constructor(deps: MachineSshPortsDeps) {
    this.#deps = deps;
  }

  /** Opens the ports of all machines of the host, and follows their changes. */
  async open(listeners: PortListeners, bus: Pick<EventBus, 'subscribeAll'>): Promise<void> {
    this.#listeners = listeners;
    const stop = bus.subscribeAll((event) => {
      if (this.#isAffected(event)) void this.settle(event.subject.id);
    });
    this.#closing.signal.addEventListener('abort', stop);
    const machines = await this.#deps.store.machines.all(this.#deps.hostId);
    for (const { id, spec } of machines) if (spec.sshPort !== null) await this.settle(id);
  }

  /** Resolves when nothing more will be opened. Ends no listener: the gateway does. */
  async close(): Promise<void> {
    this.#closing.abort(new AppError('unavailable', 'the daemon is shutting down'));
    await Promise.all(this.#underWay);
  }

  /** Opens or closes the machine's port as it is recorded. What fails is logged and repeated. Never rejects. */
  async settle(machineId: string): Promise<void> {
    const settled = this.#lock.run(machineId, () => this.#settleAlone(machineId));
    this.#underWay.add(settled);
    await settled.finally(() => this.#underWay.delete(settled));
  }

  /** Null for a machine without a port. */
  stateOf({ id, spec: { sshPort: port } }: Machine): SshPortState | null {
    if (port === null) return null;
    const isOpen = this.#open.get(id) === port;
    const nowhere = this.#listeners === null ? 'the SSH gateway does not listen' : 'it is about to be opened';
    return { port, isOpen, reason: isOpen ? null : (this.#reasons.get(id) ?? nowhere) };
  }

  async #settleAlone(machineId: string): Promise<void> {
    const listeners = this.#listeners;
    if (listeners === null || this.#closing.signal.aborted) return;
    this.#reasons.delete(machineId);
    try {
      await this.#follow(machineId, listeners);
    } catch (error) {
      this.#reasons.set(machineId, error instanceof Error ? error.message : String(error));
      this.#deps.log.error({ machine: machineId, err: error }, 'SSH port of a machine not open');
      void this.#retry(machineId);
    }
  }

  /** Events are many, and ports are few. */
  #isAffected({ type, subject, data }: Event): boolean {
    if (type === 'machine.created') return true;
    if (type === 'machine.changed') return Array.isArray(data.fields) && data.fields.includes('spec');
    if (type === 'machine.state_changed') return data.to === 'deleting' || data.from === 'deleting';
    return type === 'machine.deleted' && this.#open.has(subject.id);
  }

  async #follow(machineId: string, listeners: PortListeners): Promise<void> {
    const machine = await this.#deps.store.machines.get(machineId);
    const wanted = machine === null ? null : this.#wanted(machine);
    if (wanted === (this.#open.get(machineId) ?? null)) return;
    listeners.stop(machineId);
    this.#open.delete(machineId);
    if (wanted === null) return;
    await listeners.listen(machineId, wanted);
    this.#open.set(machineId, wanted);
    this.#deps.log.info({ machine: machineId, port: wanted }, 'SSH port of a machine open');
  }

  /** Before its record and its port are freed, a machine that is deleted has no port. */
  #wanted({ hostId, state, spec }: Machine): number | null {
    const isHere = hostId === this.#deps.hostId && state !== 'deleting' && state !== 'deleted';
    return isHere ? spec.sshPort : null;
  }

  async #retry(machineId: string): Promise<void> {
    if (this.#retried.has(machineId)) return;
    this.#retried.add(machineId);
    const { signal } = this.#closing;
    // Only closing ends the wait early.
    await this.#deps.clock.sleep(retryMs, signal).catch(() => undefined);
    this.#retried.delete(machineId);
    await this.settle(machineId);
  }
}

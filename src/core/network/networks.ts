/**
 * Attaches machines to this host's network, and makes the host follow what is recorded. Used by the steps of
 * operations, the exit watcher, the supervisor and the reconciler. For one machine it does one thing at a time, and
 * reads the record before each, so that of two changes the newer one stays in force.
 */
import { abortable } from '../../lib/abort.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import type { Logger } from '../../lib/log.ts';
import type { Machine } from '../machines/machine.ts';
import type { Clock } from '../ports/clock.ts';
import type { GuestLink, GuestTarget } from '../ports/guest.ts';
import type { Network, NetworkFacts, NicAttachment } from '../ports/network.ts';
import type { Store } from '../ports/store.ts';
import { attachmentOf, isToBeAttached } from './attachment.ts';
import { Leases, type ReportedLease } from './leases.ts';

export interface MachineNetworksDeps {
  readonly network: Network;
  readonly guest: Pick<GuestLink, 'configureNetwork' | 'dhcpLease'>;
  readonly clock: Clock;
  readonly store: Pick<Store, 'machines'>;
  readonly log: Logger;
}

/** A machine that is being attached. */
export interface Attaching {
  /** Its interfaces, as soon as they are there: a VMM may open them, and must not run yet. */
  readonly nics: Promise<readonly NicAttachment[]>;
  /** Resolves when its rules are in force: the VMM may run. */
  readonly inForce: Promise<void>;
  readonly ended: Promise<void>;
}

/** Limit of one change of the host's network, which takes tens of milliseconds. */
const changeTimeoutMs = 30_000;

export class MachineNetworks {
  readonly #deps: MachineNetworksDeps;
  readonly #lock = new KeyedLock();
  /** By incarnation, why its guest has no working network. */
  readonly #notes = new Map<string, string>();
  /** Ids of machines whose rules on the host are older than their records. */
  readonly #behind = new Set<string>();

  readonly #leases: Leases;

  constructor(deps: MachineNetworksDeps) {
    this.#deps = deps;
    this.#leases = new Leases(deps);
  }

  /** Asks no guest any more. */
  close(): Promise<void> {
    return this.#leases.close();
  }

  /** What the guest says of its address; null: nothing, or it does not come by DHCP. */
  leaseOf({ incarnation }: Pick<Machine, 'incarnation'>): ReportedLease | null {
    return this.#leases.of(incarnation);
  }

  get facts(): NetworkFacts {
    return this.#deps.network.facts;
  }

  /** Makes the machine's place in the network. Idempotent. */
  attach(machine: Machine, signal: AbortSignal): Attaching {
    const made = Promise.withResolvers<readonly NicAttachment[]>();
    const ended = this.#exclusively(machine.id, signal, async () => {
      const { network } = this.#deps;
      const attachment = attachmentOf(await this.#recorded(machine), network.facts);
      if (attachment === null) {
        made.resolve([]);
        return network.detach(machine.id, signal);
      }
      made.resolve([await network.attach(attachment, signal, (nic) => made.resolve([nic]))]);
      this.#behind.delete(machine.id);
    });
    ended.catch(made.reject);
    // A guest without an interface does not wait for the end of what it had.
    const inForce = made.promise.then((nics) => (nics.length === 0 ? undefined : ended));
    // Whoever waits for `ended` gets the same error.
    inForce.catch(() => undefined);
    return { nics: made.promise, inForce, ended };
  }

  /** Removes all that the host's network has of the machine. Idempotent. */
  detach(machineId: string, signal: AbortSignal): Promise<void> {
    return this.#exclusively(machineId, signal, async () => {
      this.#behind.delete(machineId);
      await this.#deps.network.detach(machineId, signal);
    });
  }

  /** The hardware address of the machine's interface; null: it has none. */
  macOf(machine: Machine): string | null {
    return attachmentOf(machine, this.#deps.network.facts)?.mac ?? null;
  }

  /** Tells the guest its addresses. A guest that cannot have a network runs without one, and `noteOf` says why. */
  async configure(machine: Machine, target: GuestTarget, signal: AbortSignal): Promise<void> {
    const { network, guest, log } = this.#deps;
    const attachment = attachmentOf(machine, network.facts);
    if (attachment === null) return;
    const note = await guest.configureNetwork(target, network.guestNetwork(attachment), signal);
    if (note === null) {
      this.#notes.delete(target.incarnation);
      if (attachment.kind === 'lan' && attachment.fixed === null) this.#leases.follow(machine, target);
      return;
    }
    this.#notes.set(target.incarnation, note);
    log.warn({ machine: machine.id, incarnation: target.incarnation, reason: note }, 'guest without network');
  }

  /** Why the machine's guest has no working network, or its rules are not in force yet; null: nothing is wrong. */
  noteOf({ id, incarnation }: Pick<Machine, 'id' | 'incarnation'>): string | null {
    if (this.#behind.has(id)) return notInForce;
    const note = this.#notes.get(incarnation ?? '') ?? this.#leases.problemOf(incarnation);
    return this.#deps.network.troubleOf(id) ?? note;
  }

  /** Forgets what was noted of an incarnation that has ended. */
  forget(incarnation: string): void {
    this.#leases.forget(incarnation);
    this.#notes.delete(incarnation);
  }

  /**
   * Puts in force what was just recorded for a machine. False when the host refused, now: the machine is then among
   * those that `behind` names, until a later call succeeds.
   */
  async apply(machine: Machine, signal: AbortSignal): Promise<boolean> {
    this.#behind.add(machine.id);
    try {
      await this.catchUp(machine, signal);
      return true;
    } catch (error) {
      this.#deps.log.warn({ machine: machine.id, err: error }, 'network rules recorded, not in force yet');
      return false;
    }
  }

  /** Its record may have changed: the commit's answer was lost. The reconciler puts in force what is recorded. */
  doubt(machineId: string): void {
    this.#behind.add(machineId);
  }

  /** Like `apply`, but rejects with the host's error. */
  catchUp(machine: Machine, signal: AbortSignal): Promise<void> {
    return this.#exclusively(machine.id, signal, async () => {
      const { network } = this.#deps;
      const recorded = await this.#recorded(machine);
      const attachment = attachmentOf(recorded, network.facts);
      if (attachment !== null && isToBeAttached(recorded)) await network.update(attachment, signal);
      this.#behind.delete(machine.id);
    });
  }

  /** Detaches a machine that is recorded as having no VMM; leaves one alone that has one, or may get one. */
  settle(machineId: string, signal: AbortSignal): Promise<void> {
    return this.#exclusively(machineId, signal, async () => {
      const { network, store } = this.#deps;
      const recorded = await store.machines.get(machineId);
      if (recorded !== null && isToBeAttached(recorded)) return;
      this.#behind.delete(machineId);
      await network.detach(machineId, signal);
    });
  }

  /** Ids of machines whose rules on the host are older than their records. */
  get behind(): readonly string[] {
    return [...this.#behind];
  }

  /**
   * Before the daemon listens: puts exactly the rules of machines in force that have a VMM, or may have one. Rejects with the
   * host's error; these machines are then among those that `behind` names.
   */
  async restore(hostId: string, signal: AbortSignal): Promise<void> {
    const { network, store } = this.#deps;
    const machines = (await store.machines.all(hostId)).filter(isToBeAttached);
    const attachments = machines.flatMap((machine) => attachmentOf(machine, network.facts) ?? []);
    // The host has what an earlier daemon left, which may have recorded a change and ended before it was in force.
    for (const { id } of machines) this.#behind.add(id);
    await network.restore(attachments, signal);
    for (const { id } of machines) this.#behind.delete(id);
  }

  /** Ids of machines that the host's network has anything of. */
  list(signal: AbortSignal): Promise<readonly string[]> {
    return this.#deps.network.list(signal);
  }

  /** The newest record: the given one may be older than a change of its rules. */
  async #recorded(machine: Machine): Promise<Machine> {
    return (await this.#deps.store.machines.get(machine.id)) ?? machine;
  }

  async #exclusively<T>(machineId: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(changeTimeoutMs)]);
    const result = this.#lock.run(machineId, async () => {
      limited.throwIfAborted();
      return await abortable(work(), limited);
    });
    return await abortable(result, limited);
  }
}

const notInForce = 'the latest change of its rules is recorded and not in force yet; it will be repeated';

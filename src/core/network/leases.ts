/**
 * Learns which addresses DHCP servers have given to guests, by asking the guests, in the background. A guest may lie: what
 * it says is shown as its own word, and no rule of the host depends on it. Kept in memory; the next daemon asks again.
 */
import type { Logger } from '../../lib/log.ts';
import { timeAfter } from '../../lib/times.ts';
import { AppError } from '../errors.ts';
import type { Machine } from '../machines/machine.ts';
import type { MachineState } from '../machines/states.ts';
import type { Clock } from '../ports/clock.ts';
import type { GuestLease, GuestLink, GuestTarget } from '../ports/guest.ts';
import type { Store } from '../ports/store.ts';
import { parseIpv4 } from './addresses.ts';

/** An address as the guest reports it. */
export interface ReportedLease extends Omit<GuestLease, 'leftMs'> {
  /** RFC 3339. */
  readonly reportedAt: string;
  readonly endsAt: string;
}

export interface LeasesDeps {
  readonly guest: Pick<GuestLink, 'dhcpLease'>;
  readonly store: Pick<Store, 'machines'>;
  readonly clock: Clock;
  readonly log: Logger;
}

const waitMs = 60_000;
/** Between two questions: a guest may say that all has changed, over and over. */
const pauseMs = 1_000;
/** After a question that failed. */
const againMs = 5_000;

/** The states in which a guest answers. */
const answering: ReadonlySet<MachineState> = new Set<MachineState>(['starting', 'running', 'resuming']);

interface Known {
  readonly lease: ReportedLease | null;
  readonly problem: string | null;
}

export class Leases {
  readonly #deps: LeasesDeps;
  readonly #closing = new AbortController();
  /** By incarnation. */
  readonly #following = new Map<string, { readonly ended: Promise<void>; readonly stop: AbortController }>();
  readonly #known = new Map<string, Known>();

  constructor(deps: LeasesDeps) {
    this.#deps = deps;
  }

  /** Begins to ask the guest, unless it is asked already. Ends with the incarnation, a pause or the daemon. */
  follow(machine: Pick<Machine, 'id'>, target: GuestTarget): void {
    const { incarnation } = target;
    if (this.#following.has(incarnation) || this.#closing.signal.aborted) return;
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#closing.signal]);
    const ended = this.#ask(machine.id, target, signal).finally(() => this.#following.delete(incarnation));
    this.#following.set(incarnation, { ended, stop });
  }

  /** Null: it has none, has not said so, or has said nonsense. */
  of(incarnation: string | null): ReportedLease | null {
    return this.#known.get(incarnation ?? '')?.lease ?? null;
  }

  problemOf(incarnation: string | null): string | null {
    return this.#known.get(incarnation ?? '')?.problem ?? null;
  }

  /** Forgets an incarnation that has ended. */
  forget(incarnation: string): void {
    this.#following.get(incarnation)?.stop.abort(new AppError('unavailable', 'the guest has ended'));
    this.#known.delete(incarnation);
  }

  async close(): Promise<void> {
    this.#closing.abort(new AppError('unavailable', 'the daemon ends'));
    await Promise.all([...this.#following.values()].map(({ ended }) => ended));
  }

  /** Never rejects. */
  async #ask(machineId: string, target: GuestTarget, signal: AbortSignal): Promise<void> {
    const { guest, store, clock, log } = this.#deps;
    const { incarnation } = target;
    let change = 0;
    while (!signal.aborted) {
      try {
        const machine = await store.machines.get(machineId);
        if (machine?.incarnation !== incarnation || !answering.has(machine.state)) return;
        const report = await guest.dhcpLease(target, change, waitMs, signal);
        if (signal.aborted) return;
        change = report.change;
        this.#known.set(incarnation, this.#read(report.lease, report.problem));
        await clock.sleep(pauseMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        log.debug({ machine: machineId, incarnation, err: error }, 'address of the guest not known');
        await clock.sleep(againMs, signal).catch(() => undefined);
      }
    }
  }

  #read(lease: GuestLease | null, problem: string | null): Known {
    if (lease === null) return { lease, problem: problem ?? searching };
    if (
      ![lease.address, ...lease.resolvers, ...(lease.gateway === null ? [] : [lease.gateway])].every(isHost)
    )
      return { lease: null, problem: 'the guest reports an address that no host can have' };
    const now = this.#deps.clock.now();
    const { leftMs, ...rest } = lease;
    const times = { reportedAt: timeAfter(now, 0), endsAt: timeAfter(now, leftMs) };
    return { lease: { ...rest, ...times }, problem };
  }
}

const searching = 'no DHCP server of its network has given it an address yet';

/** Not of this network or this host alone, and not of many hosts. */
function isHost(address: string): boolean {
  const value = parseIpv4(address);
  if (value === null) return false;
  const first = Math.floor(value / 2 ** 24);
  return first !== 0 && first !== 127 && first < 224 && Math.floor(value / 2 ** 16) !== 169 * 256 + 254;
}

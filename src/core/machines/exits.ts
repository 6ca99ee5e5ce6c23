/**
 * Decides what the end of an incarnation means for its machine. The engine says how the VMM ended, the guest
 * may have announced why, and the console may contain a panic; `planExit` combines the three, `ExitWatcher`
 * carries out the result.
 * Example: the engine says `reset`, the guest announced `reboot` → the machine is started again.
 */

import type { MachineNetworks } from '../network/networks.ts';
import { certainly } from '../operations/journal.ts';
import type { SubjectFailure } from '../operations/operation.ts';
import type { ExitFacts } from '../ports/engine.ts';
import type { GuestAnnouncement } from '../ports/guest.ts';
import type { Repositories, Store } from '../ports/store.ts';
import { consoleTail, isPanic, quoteConsole } from './last-words.ts';
import type { Machine } from './machine.ts';
import { planRestart } from './restarts.ts';
import { type Edges, engineOf } from './steps/context.ts';
import { transition } from './transition.ts';

export type ExitPlan =
  | { readonly to: 'stopped' }
  | { readonly to: 'restart' }
  | { readonly to: 'failed'; readonly code: string; readonly message: string };

/** Pure. `console` is the end of the console, oldest line first. */
export function planExit(
  facts: ExitFacts,
  announced: GuestAnnouncement | null,
  console: readonly string[],
): ExitPlan {
  if (facts.kind === 'powered_off') return { to: 'stopped' };
  if (facts.kind === 'reset') {
    // When the link is down, the announcement is lost; the agent prints it on the console as well.
    const said = announced ?? announcedOn(console);
    // A guest that cannot power off by itself resets after its announcement.
    if (said === 'reboot') return { to: 'restart' };
    if (said) return { to: 'stopped' };
    const panic = console.findLast(isPanic);
    const message = panic
      ? `the guest's kernel panicked: ${panic.replace(/^.*?Kernel panic - /, '')}`
      : 'the guest reset itself without announcing it';
    return { to: 'failed', code: panic ? 'guest_panic' : 'guest_reset', message };
  }
  return { to: 'failed', code: 'vmm_died', message: facts.reason };
}

function announcedOn(console: readonly string[]): string | null {
  for (const line of console.toReversed()) {
    if (isPanic(line)) return null;
    const asked = /flotilla: guest asked for (poweroff|reboot|halt)/.exec(line)?.[1];
    if (asked) return asked;
  }
  return null;
}

export interface ExitWatcherDeps {
  readonly store: Store;
  readonly edges: Edges;
  readonly networks: MachineNetworks;
  /** Starts the machine again after its guest rebooted; false when no start began. */
  readonly restart: (machine: Machine) => Promise<boolean>;
}

export class ExitWatcher {
  readonly #deps: ExitWatcherDeps;
  readonly #watched = new Map<string, () => void>();

  constructor(deps: ExitWatcherDeps) {
    this.#deps = deps;
  }

  /** Watches the machine's incarnation until it ends or `unwatch` is called. Idempotent. */
  watch(machine: Machine): void {
    const { incarnation, handle } = machine;
    if (!incarnation || !handle || this.#watched.has(incarnation)) return;
    const driver = engineOf(this.#deps.edges, machine);
    const stopWatching = driver.onExit(handle, (facts) => {
      this.#watched.delete(incarnation);
      this.handle(machine.id, incarnation, facts).catch((error: unknown) =>
        this.#deps.edges.log.error({ machine: machine.id, incarnation, err: error }, 'exit not handled'),
      );
    });
    this.#watched.set(incarnation, stopWatching);
  }

  isWatching(incarnation: string): boolean {
    return this.#watched.has(incarnation);
  }

  unwatch(incarnation: string): void {
    this.#watched.get(incarnation)?.();
    this.#watched.delete(incarnation);
  }

  close(): void {
    for (const stopWatching of this.#watched.values()) stopWatching();
    this.#watched.clear();
  }

  /**
   * Records the end of an incarnation. Ignores one that is not the machine's current one, or that an
   * operation is ending.
   */
  async handle(machineId: string, incarnation: string, facts: ExitFacts): Promise<void> {
    const { store, edges, restart } = this.#deps;
    const seen = await store.machines.get(machineId);
    if (!seen || !isConcerned(seen, incarnation)) return;
    const console = await consoleTail(edges, seen);
    const plan = planExit(facts, edges.guest.announcement(incarnation), console);
    edges.log.info({ machine: machineId, incarnation, facts, plan: plan.to }, 'incarnation ended');
    if (plan.to === 'restart' && seen.state === 'running') {
      // The start's first step clears the ended incarnation, even if the daemon dies in between.
      if (!(await restart(seen))) await this.#cleanUp(seen, incarnation);
      return;
    }
    const to = plan.to === 'failed' ? 'failed' : 'stopped';
    const record = async (tx: Repositories) => {
      const machine = await tx.machines.get(machineId);
      if (!machine || !isConcerned(machine, incarnation)) return;
      const at = edges.clock.now();
      const failure: SubjectFailure | null =
        plan.to === 'failed'
          ? { code: plan.code, message: plan.message, at: at.toISOString(), console: quoteConsole(console) }
          : null;
      const restart = planRestart(machine, to, at);
      const isAtRest = to === 'stopped' && restart.restartAt === null;
      const desired = isAtRest ? { desired: 'stopped' as const } : {};
      await transition(tx, machine, to, { handle: null, failure, ...restart, ...desired }, at);
    };
    await certainly(store, record, async () => {
      const machine = await store.machines.get(machineId);
      return !machine || !isConcerned(machine, incarnation);
    });
    await this.#cleanUp(seen, incarnation);
  }

  /** The VMM is gone or cannot continue: releases its sockets, memory and network, and keeps its console. */
  async #cleanUp(machine: Machine, incarnation: string): Promise<void> {
    const { edges, networks } = this.#deps;
    await edges.guest.release(incarnation);
    networks.forget(incarnation);
    const signal = AbortSignal.timeout(cleanUpTimeoutMs);
    if (machine.handle) await engineOf(edges, machine).stop(machine.handle, signal);
    // Unless it was started again meanwhile.
    await networks.settle(machine.id, signal);
  }
}

const cleanUpTimeoutMs = 30_000;

function isConcerned(machine: Machine, incarnation: string): boolean {
  return machine.incarnation === incarnation && (machine.state === 'running' || machine.state === 'paused');
}

/**
 * Keeps the SSH keys of machines in their guests, for SSH servers of their own: root's `authorized_keys` gets the keys of
 * the machine's record as lines with a mark, and only such lines are changed. Told of every machine that begins to run or
 * is adopted, and of every change of keys; works in the background, so that nobody waits for it.
 */
import { AppError, isAppError } from '../errors.ts';
import type { Machine } from '../machines/machine.ts';
import { isDue } from '../machines/provisioner.ts';
import { type Edges, guestOf } from '../machines/steps/context.ts';
import type { Store } from '../ports/store.ts';

/** How soon a guest is told again after its link or the store has failed. */
const againMs = 5_000;
/** A guest without keys is told so a little later: its first commands go before. */
const laterMs = 5_000;

export interface GuestKeysDeps {
  readonly store: Pick<Store, 'machines'>;
  readonly edges: Pick<Edges, 'guest' | 'clock' | 'log'>;
}

interface Work {
  ended: Promise<void>;
  /** The keys have changed since they were read. */
  isOutdated: boolean;
}

export class GuestKeys {
  readonly #deps: GuestKeysDeps;
  /** By incarnation. */
  readonly #work = new Map<string, Work>();
  readonly #closing = new AbortController();

  constructor(deps: GuestKeysDeps) {
    this.#deps = deps;
  }

  /** Brings the recorded keys into the guest of a machine that has begun to run. Never throws. */
  watch(machine: Machine): void {
    // The provisioner does it before the user data.
    if (isDue(machine)) return;
    this.#begin(machine, machine.spec.sshKeys.length === 0 ? laterMs : 0);
  }

  /** The same after a change of its keys; does nothing when it does not run. Never throws. */
  changed(machine: Machine): void {
    this.#begin(machine, 0);
  }

  /** Waits for no guest any more; the next daemon tells them. */
  async close(): Promise<void> {
    this.#closing.abort(new AppError('unavailable', 'the daemon ends'));
    await Promise.all([...this.#work.values()].map(({ ended }) => ended));
  }

  #begin({ id, incarnation, state }: Machine, delayMs: number): void {
    if (incarnation === null || state !== 'running' || this.#closing.signal.aborted) return;
    const known = this.#work.get(incarnation);
    if (known !== undefined) {
      known.isOutdated = true;
      return;
    }
    const work: Work = { ended: Promise.resolve(), isOutdated: true };
    this.#work.set(incarnation, work);
    work.ended = this.#untilDone(id, incarnation, work, delayMs).finally(() =>
      this.#work.delete(incarnation),
    );
  }

  /** Resolves when the guest has the recorded keys, cannot have them, or has ended. Never rejects. */
  async #untilDone(machineId: string, incarnation: string, work: Work, delayMs: number): Promise<void> {
    const { edges } = this.#deps;
    const { signal } = this.#closing;
    if (delayMs > 0) await edges.clock.sleep(delayMs, signal).catch(() => undefined);
    while (work.isOutdated && !signal.aborted) {
      work.isOutdated = false;
      try {
        await this.#tell(machineId, incarnation);
      } catch (error) {
        if (signal.aborted) return;
        edges.log.warn({ machine: machineId, incarnation, err: error }, 'SSH keys not in the guest yet');
        if (isAppError(error) && finalCodes.includes(error.code)) continue;
        work.isOutdated = true;
        await edges.clock.sleep(againMs, signal).catch(() => undefined);
      }
    }
  }

  async #tell(machineId: string, incarnation: string): Promise<void> {
    const { store, edges } = this.#deps;
    const machine = await store.machines.get(machineId);
    // A paused guest is told when it runs again.
    if (machine?.incarnation !== incarnation || machine.state !== 'running' || machine.handle === null)
      return;
    await edges.guest.setSshKeys(guestOf(machine), machine.spec.sshKeys, this.#closing.signal);
  }
}

/** Telling it again would not help. */
const finalCodes = ['unsupported', 'invalid', 'exhausted'];

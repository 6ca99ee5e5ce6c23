/**
 * Limits what a guest receives and sends, with tc. What it receives waits in its tap's queue. What it sends arrives at
 * the tap, where there is no queue, so it is led through an intermediate device (ifb) of the machine's, which has one.
 */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Bandwidth } from '../core/ports/network.ts';
import type { Devices } from './devices.ts';
import type { HostCommands } from './host-commands.ts';

const queueSchema = z.object({
  kind: z.string(),
  dev: z.string(),
  options: z.object({ rate: z.number().optional() }).optional(),
});

/** How long a packet may wait before it is dropped. */
const latencyMs = 50;
/** The kernel sends nothing larger at once; more at a time than a hundredth of a second allows is a burst, too. */
const burstBytesMin = 16_384;

/** What is in force, by the name of the interface: bits per second. */
export type Limits = ReadonlyMap<string, number>;

/** Names of a machine's devices, by its id. */
export interface DeviceNames {
  tap(machineId: string): string;
  shaper(machineId: string): string;
}

export class Shaper {
  readonly #commands: HostCommands;
  readonly #links: Devices;
  readonly #names: DeviceNames;
  /** What this driver has last put in force, by machine. */
  readonly #known = new Map<string, Bandwidth>();

  constructor(commands: HostCommands, links: Devices, names: DeviceNames) {
    this.#commands = commands;
    this.#links = links;
    this.#names = names;
  }

  async limits(signal: AbortSignal): Promise<Limits> {
    const queues = z
      .array(queueSchema)
      .parse((await this.#commands.json('tc', ['-j', 'qdisc', 'show'], signal)) ?? []);
    return new Map(
      queues.filter(({ kind }) => kind === 'tbf').map(({ dev, options }) => [dev, (options?.rate ?? 0) * 8]),
    );
  }

  /** Whether nothing is to be changed. A limited egress is always looked at: its redirection may be missing. */
  isApplied(machineId: string, { egress, ingress }: Bandwidth, limits: Limits): boolean {
    return (
      egress === null &&
      !limits.has(this.#names.shaper(machineId)) &&
      (limits.get(this.#names.tap(machineId)) ?? null) === wholeBytes(ingress)
    );
  }

  /** Makes the tap's limits these. The tap must exist. `present`: see `limits`. */
  async apply(machineId: string, bandwidth: Bandwidth, present: Limits, signal: AbortSignal): Promise<void> {
    this.#known.delete(machineId);
    if (!this.isApplied(machineId, bandwidth, present))
      await this.#change(machineId, bandwidth, present, signal);
    this.#known.set(machineId, bandwidth);
  }

  /** Like `apply`, for a tap that was just made: nothing is attached to it. */
  async applyToNew(machineId: string, bandwidth: Bandwidth, signal: AbortSignal): Promise<void> {
    this.#known.delete(machineId);
    if (bandwidth.egress !== null) await this.#links.remove(this.#names.shaper(machineId), signal);
    if (bandwidth.egress !== null || bandwidth.ingress !== null)
      await this.#change(machineId, bandwidth, new Map(), signal);
    this.#known.set(machineId, bandwidth);
  }

  /** Whether these limits were put in force, and nothing was attempted since. */
  isKnown(machineId: string, bandwidth: Bandwidth): boolean {
    return isDeepStrictEqual(this.#known.get(machineId), bandwidth);
  }

  forget(machineId: string): void {
    this.#known.delete(machineId);
  }

  async #change(
    machineId: string,
    bandwidth: Bandwidth,
    present: Limits,
    signal: AbortSignal,
  ): Promise<void> {
    const tap = this.#names.tap(machineId);
    if (bandwidth.ingress !== null) await this.#limit(tap, bandwidth.ingress, signal);
    else if (present.has(tap)) await this.#tc(['qdisc', 'delete', 'dev', tap, 'root'], signal);
    await this.#limitEgress(machineId, bandwidth.egress, signal);
  }

  async #limitEgress(machineId: string, rate: number | null, signal: AbortSignal): Promise<void> {
    const tap = this.#names.tap(machineId);
    const shaper = this.#names.shaper(machineId);
    const there = await this.#links.find(shaper, signal);
    if (rate === null) {
      if (there === null) return;
      await this.#tc(['qdisc', 'delete', 'dev', tap, 'ingress'], signal, true);
      await this.#links.remove(shaper, signal);
      return;
    }
    if (there === null) await this.#links.makeShaper(shaper, signal);
    await this.#limit(shaper, rate, signal);
    // It is brought up last: while it is down, the rest may be missing.
    if (there?.flags?.includes('UP')) return;
    await this.#tc(['qdisc', 'delete', 'dev', tap, 'ingress'], signal, true);
    await this.#tc(['qdisc', 'add', 'dev', tap, 'handle', 'ffff:', 'ingress'], signal);
    const everything = ['protocol', 'all', 'prio', '1', 'u32', 'match', 'u32', '0', '0'];
    const redirect = ['action', 'mirred', 'egress', 'redirect', 'dev', shaper];
    await this.#tc(['filter', 'add', 'dev', tap, 'parent', 'ffff:', ...everything, ...redirect], signal);
    await this.#links.raise([shaper], signal);
  }

  #limit(dev: string, rate: number, signal: AbortSignal): Promise<void> {
    const burst = Math.max(burstBytesMin, Math.ceil(rate / 8 / 100));
    const queue = ['tbf', 'rate', `${rate}bit`, 'burst', `${burst}b`, 'latency', `${latencyMs}ms`];
    return this.#tc(['qdisc', 'replace', 'dev', dev, 'root', ...queue], signal);
  }

  async #tc(args: readonly string[], signal: AbortSignal, isAbsenceFine = false): Promise<void> {
    const work = this.#commands.run('tc', args, { signal });
    await (isAbsenceFine ? this.#links.ignoringAbsence(work) : work);
  }
}

/** tc counts in bytes. */
function wholeBytes(rate: number | null): number | null {
  return rate === null ? null : Math.floor(rate / 8) * 8;
}

/**
 * Publishes ports of machines on a host without rules of the kernel: a `ForwardedPort` for each. Remembers what is open,
 * so that a change touches only what differs. TCP only, because the guest link carries nothing else.
 */
import type { GuestDialler, PublishedPort } from '../../core/ports/network.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import type { Logger } from '../../lib/log.ts';
import { ForwardedPort, type ForwardLimits, forwardLimits } from './forwarded-port.ts';

export interface ForwarderOptions {
  readonly dial: GuestDialler;
  readonly log: Logger;
  readonly limits?: ForwardLimits;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  /** By machine and port. */
  readonly #machines = new Map<string, Map<string, ForwardedPort>>();
  readonly #lock = new KeyedLock();

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /**
   * Publishes exactly these ports of the machine. Raises the error of the first that the host refuses, when the others are
   * published.
   */
  publish(machineId: string, ports: readonly PublishedPort[]): Promise<void> {
    return this.#lock.run('ports', async () => {
      const wanted = new Map(ports.filter(isCarried).map((port) => [keyOf(port), port]));
      const open = this.#machines.get(machineId) ?? new Map<string, ForwardedPort>();
      this.#machines.set(machineId, open);
      for (const [key, each] of open) {
        if (wanted.has(key)) continue;
        open.delete(key);
        await each.close();
      }
      const errors: unknown[] = [];
      for (const [key, port] of wanted) {
        if (open.has(key)) continue;
        try {
          open.set(key, await ForwardedPort.open(port, this.#optionsOf(machineId, port)));
        } catch (error) {
          errors.push(error);
        }
      }
      if (open.size === 0) this.#machines.delete(machineId);
      if (errors.length > 0) throw errors[0];
    });
  }

  /** Numbers of the TCP ports that the daemon has open for machines. */
  get open(): ReadonlySet<number> {
    const all = [...this.#machines.values()].flatMap((ports) => [...ports.values()]);
    return new Set(all.map(({ port }) => port.hostPort));
  }

  async close(): Promise<void> {
    for (const machineId of [...this.#machines.keys()]) await this.publish(machineId, []);
  }

  #optionsOf(machineId: string, { guestPort }: PublishedPort) {
    const { dial, log, limits = forwardLimits } = this.#options;
    return { limits, log, dial: (signal: AbortSignal) => dial(machineId, guestPort, signal) };
  }
}

/** Ports of UDP are left out: they were published while the host had a bridge. */
export function isCarried({ protocol }: Pick<PublishedPort, 'protocol'>): boolean {
  return protocol === 'tcp';
}

function keyOf({ bind, hostPort, guestPort }: PublishedPort): string {
  return `${bind} ${hostPort} ${guestPort}`;
}

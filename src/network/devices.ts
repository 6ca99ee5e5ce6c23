/**
 * Interfaces of the host in general: looks at them, brings them up, removes them. `Links` and `LanLinks` know which ones
 * machines have. Removing what is not there is no failure.
 */
import { z } from 'zod';
import type { NetworkUsage } from '../core/ports/network.ts';
import { ProcessError } from '../lib/process.ts';
import type { HostCommands } from './host-commands.ts';

const linkSchema = z.object({
  ifname: z.string(),
  flags: z.array(z.string()).optional(),
  master: z.string().optional(),
  mtu: z.number().optional(),
  ifalias: z.string().optional(),
  linkinfo: z
    .object({
      info_kind: z.string().optional(),
      info_data: z.object({ user: z.union([z.number(), z.string()]).optional() }).optional(),
      info_slave_data: z.object({ isolated: z.boolean().optional() }).optional(),
    })
    .optional(),
  stats64: z
    .object({
      rx: z.object({ bytes: z.number(), packets: z.number() }),
      tx: z.object({ bytes: z.number(), packets: z.number() }),
    })
    .optional(),
});

export type Link = z.infer<typeof linkSchema>;

export class Devices {
  protected readonly commands: HostCommands;
  readonly #owner: string;

  /** `owner`: who makes them, such as the state directory. */
  constructor(commands: HostCommands, owner: string) {
    this.commands = commands;
    this.#owner = owner;
  }

  /** The alias of every interface that this daemon makes. Contains no space: it is a word of `ip -batch`. */
  get alias(): string {
    return `flotilla:${encodeURI(this.#owner)}`.slice(0, 250);
  }

  async raise(names: readonly string[], signal: AbortSignal): Promise<void> {
    if (names.length === 0) return;
    const lines = names.map((name) => `link set dev ${name} up`);
    await this.ip(lines, signal);
  }

  /** The device through which a guest's limited egress goes; down until `raise`. */
  async makeShaper(name: string, signal: AbortSignal): Promise<void> {
    await this.ip([`link add dev ${name} type ifb`, `link set dev ${name} alias ${this.alias}`], signal);
  }

  /** What a guest's tap has carried; null when there is none. */
  async usage(tap: string, signal: AbortSignal): Promise<NetworkUsage | null> {
    const { stats64: carried } = (await this.find(tap, signal)) ?? {};
    if (carried === undefined) return null;
    // What the tap receives, the guest has sent.
    return {
      receivedBytes: carried.tx.bytes,
      receivedPackets: carried.tx.packets,
      sentBytes: carried.rx.bytes,
      sentPackets: carried.rx.packets,
    };
  }

  /** All of them. */
  protected async links(options: readonly string[], signal: AbortSignal): Promise<readonly Link[]> {
    const shown = await this.commands.json('ip', ['-j', ...options, 'link', 'show'], signal);
    return z.array(linkSchema).parse(shown ?? []);
  }

  /**
   * Whether this daemon made an interface whose name is a machine's: it has our alias, or is a device of our kinds that
   * the daemon had no time to give one. An interface of somebody else may have such a name.
   */
  protected isOurs({ ifalias, master, linkinfo }: Link): boolean {
    if (ifalias !== undefined) return ifalias === this.alias;
    return master === undefined && ['tun', 'ifb'].includes(linkinfo?.info_kind ?? '');
  }

  async find(name: string, signal: AbortSignal): Promise<Link | null> {
    try {
      const shown = await this.commands.json('ip', ['-j', '-d', '-s', 'link', 'show', 'dev', name], signal);
      return z.array(linkSchema).parse(shown)[0] ?? null;
    } catch (error) {
      if (isAbsence(error)) return null;
      throw error;
    }
  }

  async remove(name: string, signal: AbortSignal): Promise<void> {
    await this.ignoringAbsence(this.commands.run('ip', ['link', 'delete', 'dev', name], { signal }));
  }

  async ignoringAbsence(work: Promise<unknown>): Promise<void> {
    await work.catch((error: unknown) => {
      if (!isAbsence(error)) throw error;
    });
  }

  protected async ip(lines: readonly string[], signal: AbortSignal): Promise<void> {
    await this.commands.run('ip', ['-batch', '-'], { stdin: `${lines.join('\n')}\n`, signal });
  }
}

/** Whether the interface is a tap of this user, or no tap at all. */
export function hasOwner({ linkinfo }: Link, uid: number): boolean {
  return linkinfo?.info_kind !== 'tun' || Number(linkinfo.info_data?.user) === uid;
}

/** iproute2 has no exit code for it. */
function isAbsence(error: unknown): boolean {
  return (
    error instanceof ProcessError &&
    /does not exist|Cannot find device|No such (?:device|file or directory|process)|Invalid handle|handle of zero|Cannot find specified qdisc/i.test(
      error.stderr,
    )
  );
}

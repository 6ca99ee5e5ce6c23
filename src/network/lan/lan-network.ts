/**
 * Machines on bridges of the operator: a tap on an existing bridge, and nftables rules for its frames. HostNetwork calls it
 * for attachments of the kind `lan`. It never makes, changes or removes a bridge, and never opens a tap, which VMMs do.
 *
 * Order: rules are in force before a tap is up, and stay until it is gone. All changes run one after another.
 */
import { isDeepStrictEqual } from 'node:util';
import { AppError, isAppError } from '../../core/errors.ts';
import type {
  GuestNetwork,
  LanAttachment,
  LanBridge,
  NetworkUsage,
  NicAttachment,
} from '../../core/ports/network.ts';
import { KeyedLock } from '../../lib/keyed-lock.ts';
import type { Logger } from '../../lib/log.ts';
import { GroupNumbers } from '../group-numbers.ts';
import { explaining, HostCommands } from '../host-commands.ts';
import { lanShaperName, lanTapName, machineOfLanTap } from '../names.ts';
import { Firewall } from '../rules/firewall.ts';
import { readElement } from '../rules/shown-elements.ts';
import { Shaper } from '../shaper.ts';
import { checkLanAttachment, lanElementsOf } from './elements.ts';
import { LanLinks, type LanTap, missingBridge } from './links.ts';
import { type LanTableOptions, lanTableName, lanTables } from './tables.ts';

export interface LanNetworkOptions {
  /** Those that the operator has named. */
  readonly bridges: readonly LanBridge[];
  /** The daemon's own bridge; the tables are named after it. */
  readonly ownBridge: string;
  /** Tells daemons apart: the state directory. */
  readonly owner: string;
  /** Where the bridges are: a path such as `/run/netns/x`; null: the daemon's own namespace. */
  readonly netns: string | null;
  /** The VMM of slot n runs as user uidBase + n. */
  readonly uidBase: number;
  /** Networks and addresses that guests never reach, beside those of the namespace of the bridges. */
  readonly never: () => readonly string[];
  readonly log: Logger;
}

/** Sets that the kernel fills; an element begins with the tap. */
const learned = ['leases', 'servers', 'opening', 'open', 'pinged'] as const;

export class LanNetwork {
  readonly #options: LanNetworkOptions;
  readonly #commands: HostCommands;
  readonly #links: LanLinks;
  readonly #shaper: Shaper;
  readonly #firewall: Firewall<LanTableOptions>;
  readonly #lock = new KeyedLock();
  readonly #attached = new Map<string, LanAttachment>();
  readonly #groups = new GroupNumbers();
  /** Machines whose detachment has begun and not ended. */
  readonly #leaving = new Set<string>();
  /** False after everything that an earlier configuration has left was removed. */
  #isDirty = true;
  /** By machine, what is wrong with its tap. */
  readonly #troubles = new Map<string, string>();

  constructor(options: LanNetworkOptions) {
    this.#options = options;
    this.#commands = new HostCommands(options.netns);
    this.#links = new LanLinks(this.#commands, options.owner);
    this.#shaper = new Shaper(this.#commands, this.#links, { tap: lanTapName, shaper: lanShaperName });
    this.#firewall = new Firewall(this.#commands, lanTables, this.#tableOptions());
  }

  /** Raises `unsupported` for a bridge that the operator has not named, `unavailable` for one that is not there. */
  async attach(attachment: LanAttachment, signal: AbortSignal): Promise<NicAttachment> {
    checkLanAttachment(attachment);
    const { machineId, mac } = attachment;
    this.#requireNamed(attachment);
    return this.#alone(`attach machine ${machineId} to the bridge ${attachment.bridge}`, signal, async () => {
      this.#leaving.delete(machineId);
      await this.#change(attachment, signal);
      await this.#makeTap(attachment, signal);
      return { kind: 'tap', tap: lanTapName(machineId), netns: this.#options.netns, mac };
    });
  }

  guestNetwork({ mac, fixed }: LanAttachment): GuestNetwork {
    if (fixed === null)
      return { mac, addresses: [], gateways: [], resolvers: [], searchDomains: [], dhcp: true };
    const { address, prefix, gateway, resolvers } = fixed;
    return {
      mac,
      addresses: [{ address, prefix }],
      gateways: gateway === null ? [] : [gateway],
      resolvers,
      searchDomains: [],
    };
  }

  update(attachment: LanAttachment, signal: AbortSignal): Promise<void> {
    checkLanAttachment(attachment);
    const { machineId, bandwidth } = attachment;
    return this.#alone(`change the rules of machine ${machineId}`, signal, async () => {
      const before = this.#attached.get(machineId);
      if (before === undefined) return;
      await this.#change(attachment, signal);
      if ((before.group === null) !== (attachment.group === null)) await this.#makeTap(attachment, signal);
      else if (!this.#shaper.isKnown(machineId, bandwidth))
        await this.#shaper.apply(machineId, bandwidth, await this.#shaper.limits(signal), signal);
    });
  }

  detach(machineId: string, signal: AbortSignal): Promise<void> {
    if (this.#isUnused) return Promise.resolve();
    return this.#alone(`detach machine ${machineId} from its bridge`, signal, async () => {
      this.#leaving.add(machineId);
      await this.#links.detach(machineId, signal);
      this.#shaper.forget(machineId);
      this.#troubles.delete(machineId);
      await this.#forget(machineId, signal);
      this.#attached.delete(machineId);
      this.#groups.retain([...this.#attached.values()]);
      this.#leaving.delete(machineId);
    });
  }

  /** Removes what the rules know of a machine that has no tap any more. */
  async #forget(machineId: string, signal: AbortSignal): Promise<void> {
    const isStray = !this.#attached.has(machineId);
    if (isStray && !(await this.#marked(signal)).has(machineId)) return;
    const more = await this.#removal(machineId, signal);
    if (!isStray) await this.#firewall.change(new Map([[machineId, null]]), signal, more);
    // Nobody remembers which elements it has; before the first `restore`, which removes them, nor those of the others.
    else if (this.#firewall.isKnown) await this.#firewall.write(signal, more);
  }

  /** A machine whose bridge is missing is left without a tap; `troubleOf` says so, and `list` repairs it later. */
  restore(attachments: readonly LanAttachment[], signal: AbortSignal): Promise<void> {
    for (const attachment of attachments) checkLanAttachment(attachment);
    return this.#alone('restore the taps on bridges of the operator', signal, async () => {
      this.#attached.clear();
      this.#troubles.clear();
      this.#leaving.clear();
      for (const attachment of attachments) {
        if (this.#isNamed(attachment)) this.#attached.set(attachment.machineId, attachment);
        else this.#troubles.set(attachment.machineId, notNamed(attachment.bridge).message);
      }
      const wanted = new Set(this.#attached.keys());
      this.#firewall.expect(
        this.#tableOptions(),
        new Map([...this.#attached.values()].map((each) => [each.machineId, this.#elements(each)])),
      );
      await this.#links.retain(wanted, signal);
      // A host that uses none of it has no tables of it.
      if (this.#options.bridges.length === 0) {
        await this.#firewall.remove(signal);
        this.#isDirty = false;
        return;
      }
      await this.#firewall.write(signal);
      await this.#repair(signal);
    });
  }

  /**
   * Machines that have anything here. Called again and again by the reconciler, so it also repairs taps whose bridge was
   * removed and made again, and refuses guests what has come to be among `never`.
   */
  list(signal: AbortSignal): Promise<readonly string[]> {
    if (this.#isUnused) return Promise.resolve([]);
    return this.#alone('list what is on bridges of the operator', signal, async () => {
      await this.#follow(signal);
      await this.#repair(signal);
      await this.#prune(signal);
      const there = [...(await this.#links.machines(signal)), ...(await this.#marked(signal))];
      return [...new Set([...there, ...this.#leaving])];
    });
  }

  /** What is wrong with the tap of an attached machine, as `list` has found it. */
  troubleOf(machineId: string): string | null {
    return this.#troubles.get(machineId) ?? null;
  }

  async measure(machineId: string, signal: AbortSignal): Promise<NetworkUsage | null> {
    if (!this.#attached.has(machineId)) return null;
    const read = () => this.#links.usage(lanTapName(machineId), signal);
    return explaining('read counters of the network', signal, read);
  }

  /** True once what an earlier configuration has left is removed, and none is there now. */
  get #isUnused(): boolean {
    return this.#options.bridges.length === 0 && this.#firewall.isKnown && !this.#isDirty;
  }

  #alone<T>(what: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return this.#lock.run('lan', async () => {
      signal.throwIfAborted();
      return explaining(what, signal, work);
    });
  }

  #isNamed({ bridge }: LanAttachment): boolean {
    return this.#options.bridges.some(({ name }) => name === bridge);
  }

  #requireNamed(attachment: LanAttachment): void {
    if (!this.#isNamed(attachment)) throw notNamed(attachment.bridge);
  }

  #elements(attachment: LanAttachment) {
    return lanElementsOf(attachment, this.#groups.of(attachment));
  }

  async #change(attachment: LanAttachment, signal: AbortSignal): Promise<void> {
    const { machineId } = attachment;
    this.#attached.set(machineId, attachment);
    this.#groups.retain([...this.#attached.values()]);
    await this.#firewall.change(new Map([[machineId, this.#elements(attachment)]]), signal);
  }

  #tapOf({ machineId, mac, bridge, slot, group }: LanAttachment): LanTap {
    return { machineId, mac, bridge, uid: this.#options.uidBase + slot, isIsolated: group === null };
  }

  async #makeTap(attachment: LanAttachment, signal: AbortSignal): Promise<void> {
    const { machineId, bandwidth } = attachment;
    await this.#links.make(this.#tapOf(attachment), signal);
    await this.#shaper.apply(machineId, bandwidth, await this.#shaper.limits(signal), signal);
    await this.#links.raise([lanTapName(machineId)], signal);
    this.#troubles.delete(machineId);
  }

  async #repair(signal: AbortSignal): Promise<void> {
    const staying = [...this.#attached.values()].filter(({ machineId }) => !this.#leaving.has(machineId));
    const taps = staying.map((attachment) => this.#tapOf(attachment));
    const broken = await this.#links.findBroken(taps, signal);
    for (const { tap, hasBridge } of broken) {
      const { machineId, bridge } = tap;
      const attachment = this.#attached.get(machineId);
      if (!hasBridge) this.#note(machineId, missingBridge(bridge, false));
      else if (attachment !== undefined) {
        await this.#makeTap(attachment, signal).catch((error: unknown) => {
          if (!isAppError(error, 'unavailable')) throw error;
          this.#note(machineId, error);
        });
      }
    }
  }

  #note(machineId: string, error: AppError): void {
    if (this.#troubles.get(machineId) !== error.message)
      this.#options.log.warn({ machine: machineId, err: error }, 'machine off its bridge');
    this.#troubles.set(machineId, error.message);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const options = this.#tableOptions();
    if (!this.#firewall.isKnown || isDeepStrictEqual(this.#firewall.options, options)) return;
    await this.#firewall.adopt(options, signal);
  }

  /** Machines that the rules know, whether they have a tap or not. */
  async #marked(signal: AbortSignal): Promise<ReadonlySet<string>> {
    const taps = await this.#firewall.list('taps', signal, 'bridge');
    return new Set(taps.flatMap((shown) => machineOfLanTap(readElement(shown).parts[0] ?? '') ?? []));
  }

  /**
   * Leaves each guest the address that its DHCP server has named last. The kernel cannot: it adds, and forgets after a day.
   */
  async #prune(signal: AbortSignal): Promise<void> {
    const newest = new Map<string, number>();
    const leases = (await this.#firewall.list('leases', signal, 'bridge')).map(readElement);
    for (const { parts, expiresS } of leases)
      newest.set(parts[0] ?? '', Math.max(newest.get(parts[0] ?? '') ?? 0, expiresS ?? 0));
    const old = leases.filter(({ parts, expiresS }) => (expiresS ?? 0) < (newest.get(parts[0] ?? '') ?? 0));
    const lines = old.flatMap(({ parts: [tap, ...rest] }) => this.#removalOf('leases', tap ?? '', rest));
    if (lines.length > 0) await this.#firewall.apply(lines.join('\n'), signal);
  }

  /** Lines that remove what the kernel has learned about a machine. Added first: one that has just expired cannot be deleted. */
  async #removal(machineId: string, signal: AbortSignal): Promise<string> {
    const lines: string[] = [];
    for (const set of learned) {
      for (const shown of await this.#firewall.list(set, signal, 'bridge')) {
        const [tap, ...parts] = readElement(shown).parts;
        if (tap !== lanTapName(machineId)) continue;
        lines.push(...this.#removalOf(set, tap, parts));
      }
    }
    return lines.join('\n');
  }

  #removalOf(set: string, tap: string, parts: readonly string[]): readonly string[] {
    const place = `bridge ${this.#table} ${set} { "${tap}" . ${parts.join(' . ')} }`;
    return [`add element ${place}`, `delete element ${place}`];
  }

  get #table(): string {
    return lanTables.name(this.#firewall.options);
  }

  #tableOptions(): LanTableOptions {
    const { ownBridge, never } = this.#options;
    return { table: lanTableName(ownBridge), never: never() };
  }
}

function notNamed(bridge: string): AppError {
  return new AppError(
    'unsupported',
    `machines may not stand on the bridge '${bridge}' of this host any more`,
    {
      hint: 'The operator names bridges with FLOTILLA_NETWORK_LAN_BRIDGES. Change the network of the machine, or ask the operator.',
    },
  );
}

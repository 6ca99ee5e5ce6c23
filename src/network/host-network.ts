/**
 * The whole network of a host: machines behind its address, or alone (`nat`), and machines on bridges of the operator
 * (`lan`). Implements core's port by giving each attachment to the part that it belongs to.
 */
import { AppError } from '../core/errors.ts';
import type {
  Attachment,
  BusyPorts,
  DeniedEgress,
  GuestDialler,
  GuestNetwork,
  LanAttachment,
  LanFacts,
  NatAttachment,
  Network,
  NetworkFacts,
  NetworkUsage,
  NicAttachment,
  PortWish,
} from '../core/ports/network.ts';
import type { LanNetwork } from './lan/lan-network.ts';

export class HostNetwork implements Network {
  readonly facts: NetworkFacts;
  readonly #nat: Network<NatAttachment>;
  readonly #lan: LanNetwork | null;

  /** `lan` is null where no machine can stand on a bridge; `lanFacts` says why. */
  constructor(nat: Network<NatAttachment>, lan: LanNetwork | null, lanFacts: LanFacts) {
    this.#nat = nat;
    this.#lan = lan;
    this.facts = { ...nat.facts, lan: lanFacts };
  }

  connectBy(dial: GuestDialler): void {
    this.#nat.connectBy(dial);
  }

  async attach(
    attachment: Attachment,
    signal: AbortSignal,
    onMade?: (nic: NicAttachment) => void,
  ): Promise<NicAttachment> {
    if (attachment.kind === 'nat') return this.#nat.attach(attachment, signal, onMade);
    return this.#requireLan().attach(attachment, signal);
  }

  guestNetwork(attachment: Attachment): GuestNetwork {
    if (attachment.kind === 'nat') return this.#nat.guestNetwork(attachment);
    return this.#requireLan().guestNetwork(attachment);
  }

  async update(attachment: Attachment, signal: AbortSignal): Promise<void> {
    if (attachment.kind === 'nat') await this.#nat.update(attachment, signal);
    else await this.#requireLan().update(attachment, signal);
  }

  /** Also when the first fails, the second is tried: neither may be left behind. */
  async detach(machineId: string, signal: AbortSignal): Promise<void> {
    const settled = await Promise.allSettled([
      this.#nat.detach(machineId, signal),
      this.#lan?.detach(machineId, signal),
    ]);
    rethrow(settled);
  }

  async restore(attachments: readonly Attachment[], signal: AbortSignal): Promise<void> {
    const settled = await Promise.allSettled([
      this.#nat.restore(attachments.filter(isNat), signal),
      this.#lan?.restore(attachments.filter(isLan), signal),
    ]);
    rethrow(settled);
  }

  async list(signal: AbortSignal): Promise<readonly string[]> {
    const [nat, lan] = [await this.#nat.list(signal), (await this.#lan?.list(signal)) ?? []];
    return [...new Set([...nat, ...lan])];
  }

  tryPort(port: PortWish, signal: AbortSignal): Promise<void> {
    return this.#nat.tryPort(port, signal);
  }

  busyPorts(signal: AbortSignal): Promise<BusyPorts> {
    return this.#nat.busyPorts(signal);
  }

  async measure(machineId: string, signal: AbortSignal): Promise<NetworkUsage | null> {
    const lan = (await this.#lan?.measure(machineId, signal)) ?? null;
    return lan ?? this.#nat.measure(machineId, signal);
  }

  denied(machineId: string, signal: AbortSignal): Promise<readonly DeniedEgress[]> {
    return this.#nat.denied(machineId, signal);
  }

  troubleOf(machineId: string): string | null {
    return this.#lan?.troubleOf(machineId) ?? this.#nat.troubleOf(machineId);
  }

  close(): Promise<void> {
    return this.#nat.close();
  }

  #requireLan(): LanNetwork {
    if (this.#lan !== null) return this.#lan;
    const why = this.facts.lan.reason ?? 'none is configured';
    throw new AppError('unsupported', `machines cannot stand on a bridge of this host: ${why}`, {
      hint: 'Run ./flotilla doctor, which says what is missing on this host.',
    });
  }
}

function isNat(attachment: Attachment): attachment is NatAttachment {
  return attachment.kind === 'nat';
}

function isLan(attachment: Attachment): attachment is LanAttachment {
  return attachment.kind === 'lan';
}

function rethrow(settled: readonly PromiseSettledResult<unknown>[]): void {
  const errors = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, 'both parts of the network failed');
}

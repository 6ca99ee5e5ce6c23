/** The network of machines: published ports, and what their policies have refused. The policy itself is part of the machine. */
import { call, type QueryOf } from './call.ts';
import { deadlinesMs } from './deadlines.ts';
import type { CallOptions, Transport } from './transport.ts';
import type { DeniedEgress, PortChange, PublishedPorts, PublishPort } from './types.ts';

/** All methods accept a machine's id or its unique name. */
export class Network {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** The ports of the host that lead to the machine. */
  ports(machine: string, options?: CallOptions): Promise<PublishedPorts> {
    return call(this.#transport, 'listMachinePorts', { path: { id: machine } }, deadlinesMs.read, options);
  }

  /** At once, also while the machine runs. Without `host_port`: a free port of the host. */
  publish(machine: string, port: PublishPort, options?: CallOptions): Promise<PortChange> {
    const parts = { path: { id: machine }, body: port };
    return call(this.#transport, 'publishMachinePort', parts, deadlinesMs.write, options);
  }

  /** Ends the port and its connections. */
  unpublish(
    machine: string,
    hostPort: number,
    query: QueryOf<'unpublishMachinePort'> = {},
    options?: CallOptions,
  ): Promise<PortChange> {
    const parts = { path: { id: machine, host_port: String(hostPort) }, query };
    return call(this.#transport, 'unpublishMachinePort', parts, deadlinesMs.write, options);
  }

  /** What the egress policy has refused, by destination, newest first. */
  denied(machine: string, options?: CallOptions): Promise<DeniedEgress> {
    return call(this.#transport, 'listDeniedEgress', { path: { id: machine } }, deadlinesMs.read, options);
  }
}

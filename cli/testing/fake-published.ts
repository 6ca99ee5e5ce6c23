/** Published ports of machines that do not exist, for FakeApi. */
import { Refusal } from './refusal.ts';

interface Port {
  readonly protocol: string;
  readonly bind: string;
  readonly host_port: number;
  readonly guest_port: number;
}

export class FakePublished {
  readonly #ports = new Map<string, Port[]>();
  /** Whether the host carries changes out at once. */
  isInForce = true;

  of(machine: string): readonly Port[] {
    return this.#ports.get(machine) ?? [];
  }

  publish(machine: string, body: Readonly<Record<string, unknown>>) {
    const port: Port = {
      protocol: String(body.protocol ?? 'tcp'),
      bind: String(body.bind ?? '127.0.0.1'),
      host_port: Number(body.host_port ?? 20_000),
      guest_port: Number(body.guest_port),
    };
    if ([...this.#ports.values()].flat().some(({ host_port: taken }) => taken === port.host_port))
      throw new Refusal(409, 'CONFLICT', `port ${port.host_port} of the host is taken`);
    this.#ports.set(machine, [...this.of(machine), port]);
    return { port, in_force: this.isInForce };
  }

  /** `url` is that of the request: `/machines/ID/ports/8080?protocol=udp`. */
  withdraw(machine: string, url: string) {
    const { pathname, searchParams } = new URL(url, 'http://fake');
    const wanted = Number(pathname.split('/').at(-1));
    const protocol = searchParams.get('protocol') ?? 'tcp';
    const port = this.of(machine).find((each) => each.host_port === wanted && each.protocol === protocol);
    if (port === undefined)
      throw new Refusal(404, 'NOT_FOUND', `${protocol} port ${wanted} is not published`);
    this.#ports.set(
      machine,
      this.of(machine).filter((each) => each !== port),
    );
    return { port, in_force: this.isInForce };
  }
}

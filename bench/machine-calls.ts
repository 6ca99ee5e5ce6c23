/** The API calls that the benches time, over one connection that stays open. */
import { AppError } from '../src/core/errors.ts';
import { encodeRequest, HttpConnection } from './http-connection.ts';
import type { BenchDaemon } from './workplace.ts';

/** The size of every measured machine. */
export const machineSize = { vcpuCount: 1, memoryMib: 256, diskMib: 1024 } as const;

export interface StartedMachine {
  readonly id: string;
  readonly vmmPid: number;
}

export class MachineCalls implements Disposable {
  readonly #daemon: BenchDaemon;
  readonly #connection: HttpConnection;

  private constructor(daemon: BenchDaemon, connection: HttpConnection) {
    this.#daemon = daemon;
    this.#connection = connection;
  }

  static async open(daemon: BenchDaemon): Promise<MachineCalls> {
    return new MachineCalls(daemon, await HttpConnection.open(daemon));
  }

  /** Creates a machine and starts it; resolves when its guest answers. */
  async start(
    name: string,
    image: string,
    {
      memoryMib = machineSize.memoryMib,
      network = {},
      ...more
    }: { readonly memoryMib?: number; readonly network?: object } & Readonly<Record<string, unknown>> = {},
  ): Promise<StartedMachine> {
    const body = {
      name,
      image,
      vcpu_count: machineSize.vcpuCount,
      mem_size_mib: memoryMib,
      disk_size_mib: machineSize.diskMib,
      network,
      ...more,
    };
    const { id } = await this.#json(201, 'POST', '/machines', body);
    const { pid } = await this.#json(200, 'POST', `/machines/${id}/start`, {});
    if (typeof id !== 'string' || typeof pid !== 'number')
      throw new AppError('internal', 'the daemon’s answer has no machine id or process id');
    return { id, vmmPid: pid };
  }

  async pause(id: string): Promise<void> {
    await this.#json(200, 'POST', `/machines/${id}/pause`, {});
  }

  async remove({ id }: StartedMachine): Promise<void> {
    const { key } = this.#daemon;
    const request = encodeRequest('DELETE', `/machines/${id}?force=true`, this.#daemon, { key });
    await this.#connection.expect(204, request);
  }

  /** Encodes a request that runs `true`; send it with `exec`. */
  execRequest(id: string): Buffer {
    const { key } = this.#daemon;
    return encodeRequest('POST', `/machines/${id}/exec`, this.#daemon, { key, body: { command: ['true'] } });
  }

  async exec(request: Buffer): Promise<void> {
    await this.#connection.expect(200, request);
  }

  async #json(
    status: number,
    method: 'POST',
    path: string,
    body: unknown,
  ): Promise<Readonly<Record<string, unknown>>> {
    const { key } = this.#daemon;
    const answer = await this.#connection.expect(
      status,
      encodeRequest(method, path, this.#daemon, { key, body }),
    );
    return JSON.parse(answer.toString()) as Record<string, unknown>;
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }
}
